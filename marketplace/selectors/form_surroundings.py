"""What a form made from a schema must know of the place its Application runs in."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from catalyst.core.secret_store import has_secret_store
from marketplace.models import Application, ApplicationSecret
from marketplace.selectors.installed import current_applications
from marketplace.selectors.own_hosts import OwnHosts
from tenancy.models import Environment
from tenancy.selectors.sovereign import get_sovereign


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a form knows of the place its Application runs in.

    ``hosts`` are proven to belong to the Organization; ``secrets`` says when each one was set, by name.
    """

    default_host: str = ""
    hosts: Collection[str] = ()
    #: Of those, and of the names below them, what a list offers; empty: ``hosts``.
    offered_hosts: tuple[str, ...] = ()
    #: The Blueprint of each Application that is there, by the Application's name.
    applications: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, datetime] = field(default_factory=dict)
    #: Those of them that the secret store has not taken yet.
    waiting_secrets: frozenset[str] = frozenset()
    has_secret_store: bool = False


def is_reference(node: Mapping[str, Any]) -> bool:
    """Tell whether a node of a schema is the name of another Application of the same Environment."""
    return node.get("x-catalyst-ui-hint") == "application-ref"


def referable(node: Mapping[str, Any], applications: Mapping[str, str]) -> list[str]:
    """Return the names that may stand there, of ``applications`` (the Blueprint of each one, by its name)."""
    wanted = node.get("x-catalyst-ui-filter", {}).get("blueprint", "")
    return sorted(name for name, blueprint in applications.items() if wanted in ("", blueprint))


def surroundings_of(application: Application) -> Surroundings:
    """Return what the form of an installed Application offers."""
    hosts = OwnHosts(application.organization_id, application)
    others = current_applications(application.environment_id).exclude(pk=application.pk)
    secrets = ApplicationSecret.objects.filter(application=application, issuer="")
    return Surroundings(
        default_host=_default_host(application.slug, application.environment),
        hosts=hosts,
        offered_hosts=hosts.offered(application.slug),
        applications={row.slug: row.blueprint_version.blueprint.name for row in others},
        secrets=dict(secrets.values_list("name", "set_at")),
        waiting_secrets=frozenset(secrets.filter(delivered_at=None).values_list("name", flat=True)),
        has_secret_store=has_secret_store(),
    )


def _default_host(slug: str, environment: Environment) -> str:
    return f"{slug}.{environment.name}.{get_sovereign().domain}"
