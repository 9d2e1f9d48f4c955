"""What the platform's own repository should say of an Environment, from its rows alone."""

from django.conf import settings

from marketplace.manifests.platform import render_platform_environment
from marketplace.manifests.platform_facts import PlatformFacts, PlatformSettings
from marketplace.models import EnvironmentPolicy
from marketplace.selectors.capacity import OVERHEAD, Footprint, capacity_of
from marketplace.services.changes_desired import environment_facts
from tenancy.models import Environment
from tenancy.selectors.sovereign import get_sovereign


def quota_of(environment: Environment) -> Footprint:
    """Return what the cluster lets an Environment ask for: what previews compare with.

    Without a Plan that is the platform's own part: what runs stays, and nothing new starts.
    """
    return capacity_of(environment) or OVERHEAD


def platform_facts(environment: Environment) -> PlatformFacts:
    """Return what rendering needs to know of the Environment."""
    rules = EnvironmentPolicy.objects.filter(environment=environment).values_list("rules", flat=True).first()
    return PlatformFacts(environment=environment_facts(environment), capacity=quota_of(environment), rules=rules)


def platform_settings() -> PlatformSettings:
    """Return the addresses that clusters use; without a secret store of ours, where one is expected."""
    return PlatformSettings(
        public_url=settings.PUBLIC_URL,
        secret_store_url=settings.SECRET_STORE_URL or f"https://openbao.{get_sovereign().domain}",
        secret_store_mount=settings.SECRET_STORE_MOUNT,
    )


def desired_platform_files(environment: Environment) -> dict[str, bytes]:
    """Return the files of one Environment by path.

    :raises ManifestsRefused: see ``render_platform_environment``.
    :raises YamlRefused: see ``render_platform_environment``.
    """
    return render_platform_environment(platform_facts(environment), platform_settings())
