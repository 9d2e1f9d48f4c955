"""What a form made from a schema must know of the place its Application runs in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from marketplace.models import Application, ApplicationSecret
from marketplace.selectors.installed import current_applications
from tenancy.models import Environment
from tenancy.selectors.sovereign import get_sovereign


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a form knows of the place its Application runs in.

    ``hosts`` are proven to belong to the Organization; ``secrets`` says when each one was set, by name.
    """

    default_host: str = ""
    hosts: tuple[str, ...] = ()
    #: The Blueprint of each Application that is there, by the Application's name.
    applications: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, datetime] = field(default_factory=dict)
    has_secret_store: bool = False


def is_host(node: Mapping[str, Any]) -> bool:
    """Tell whether a node of a schema is the address of an Application, which the platform gives where nobody does."""
    return node.get("x-catalyst-ui-hint") == "domain-picker"


def surroundings_of(application: Application) -> Surroundings:
    """Return what the form of an installed Application offers. No host is proven to be anybody's yet."""
    others = current_applications(application.environment_id).exclude(pk=application.pk)
    secrets = ApplicationSecret.objects.filter(application=application)
    return Surroundings(
        default_host=_default_host(application.slug, application.environment),
        applications={row.slug: row.blueprint_version.blueprint.name for row in others},
        secrets=dict(secrets.values_list("name", "set_at")),
        has_secret_store=bool(settings.SECRET_STORE),
    )


def _default_host(slug: str, environment: Environment) -> str:
    return f"{slug}.{environment.name}.{get_sovereign().domain}"
