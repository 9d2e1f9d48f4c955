"""Slugs of Organizations: shape, reserved words, free suggestions.

Source: docs/glossary.md, "Naming rules".
"""

import re
from http import HTTPStatus

from django.utils.text import slugify
from django.utils.translation import gettext as _

from catalyst.core import names
from catalyst.core.errors import DomainError
from tenancy.models import Organization

PROVIDERS = frozenset(["hz", "hw", "oci", "aws", "gcp", "az", "ct"])
REGIONS = frozenset(
    ["fsn", "nbg", "hel", "ash", "hil", "sin", "apse", "cnn", "las", "mer", "dxb", "fra", "sg", "iad", "syd", "eu"]
)
BUILDING_BLOCKS = frozenset(["rtz", "dmz", "mgt"])
PLATFORM_WORDS = frozenset(
    [
        "system",
        "flux",
        "crossplane",
        "catalyst",
        "openova",
        "gitea",
        "harbor",
        "keycloak",
        "openbao",
        "vault",
        "k8s",
        "catalog",
        "catalog-sovereign",
        "shared-blueprints",
        "environment",
        "applications",
    ]
)
SITE_WORDS = frozenset(
    [
        "www",
        "api",
        "admin",
        "console",
        "marketplace",
        "app",
        "apps",
        "docs",
        "status",
        "mail",
        "smtp",
        "imap",
        "vpn",
        "dns",
        "ns1",
        "ns2",
        "ns3",
        "git",
        "hooks",
        "events",
        "redeem",
        "orders",
        "checkout",
        "billing",
        "account",
        "accounts",
        "oidc",
        "login",
        "logout",
        "new",
        "settings",
        "support",
        "help",
        "static",
        "media",
        "healthz",
        "readyz",
        "metrics",
        "ar",
        "en",
    ]
)
RESERVED = PROVIDERS | REGIONS | BUILDING_BLOCKS | PLATFORM_WORDS | SITE_WORDS | frozenset(names.ENVIRONMENT_TYPES)
_RESERVED_PREFIX = "kube-"
_RESERVED_ENDINGS = tuple(f"-{env_type}" for env_type in names.ENVIRONMENT_TYPES)
_LONGEST = 32


class SlugInvalid(DomainError):
    code = "slug_invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class SlugReserved(DomainError):
    code = "slug_reserved"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class SlugTaken(DomainError):
    code = "slug_taken"
    status = HTTPStatus.CONFLICT


def check_slug(slug: str) -> None:
    """Refuse a slug that no Organization may have; whether it is free is known only by inserting it.

    :raises SlugInvalid: it breaks the naming rule.
    :raises SlugReserved: it is a word of the platform, or ends like an Environment.
    """
    if not re.fullmatch(names.ORGANIZATION, slug):
        raise SlugInvalid(
            _("Use 3 to 32 lower-case letters, digits and single hyphens; begin with a letter."), pointer="/slug"
        )
    if slug in RESERVED or slug.startswith(_RESERVED_PREFIX) or slug.endswith(_RESERVED_ENDINGS):
        raise SlugReserved(_("This name is kept for the platform. Choose another one."), pointer="/slug")


def suggest_slugs(name: str, *, limit: int = 3) -> list[str]:
    """Return free slugs near a display name; a hint only, since somebody else may take one meanwhile."""
    stem = re.sub(r"^[^a-z]+", "", slugify(name)).replace("_", "-")
    stem = re.sub(r"-{2,}", "-", stem)[: _LONGEST - 4].strip("-")
    if len(stem) < 2:
        stem = "my-company"
    candidates = [slug for slug in (stem, *(f"{stem}-{number}" for number in range(2, 30))) if _is_allowed(slug)]
    known = Organization.objects.filter(slug__in=candidates, released_at__isnull=True)
    taken = set(known.values_list("slug", flat=True))
    return [slug for slug in candidates if slug not in taken][:limit]


def _is_allowed(slug: str) -> bool:
    try:
        check_slug(slug)
    except DomainError:
        return False
    return True
