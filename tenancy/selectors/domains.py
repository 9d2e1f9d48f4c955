"""Domains of an Organization, and to whom a host belongs."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from catalyst.core.errors import NotFound
from tenancy.models import Domain, Organization

#: A domain → what its Organization runs under it, in words that its members know.
UseSource = Callable[[Domain], list[str]]
_sources: list[UseSource] = []


def register_use(source: UseSource) -> UseSource:
    """Let an app that lies higher say what needs a domain."""
    _sources.append(source)
    return source


def uses_of(domain: Domain) -> list[str]:
    """Return what needs this domain; empty when it can go."""
    return sorted({use for source in _sources for use in source(domain)})


def list_domains(organization: Organization) -> QuerySet[Domain]:
    """Return the domains that the Organization has not given up, by name."""
    return Domain.objects.kept().filter(organization=organization).order_by("name")


def find_domain(organization: Organization, domain_uuid: Any) -> Domain:
    """Return one domain of the Organization.

    :raises NotFound: it has none such.
    """
    found = list_domains(organization).filter(uuid=domain_uuid).first()
    if found is None:
        raise NotFound(_("Not found."))
    return found


def verified_names(organization_id: int) -> tuple[str, ...]:
    """Return the names that an Organization has proven, by name."""
    rows = Domain.objects.verified().filter(organization=organization_id).order_by("name")
    return tuple(rows.values_list("name", flat=True))


def foreign_names(organization_id: int, *, below: Iterable[str], also: Iterable[str] = ()) -> frozenset[str]:
    """Return the names at or below some, or among others (``also``), that another Organization has proven."""
    wanted = Q(name__in=list(also))
    for name in below:
        wanted |= Q(name=name) | Q(name__endswith=f".{name}")
    others = Domain.objects.verified().exclude(organization=organization_id).filter(wanted)
    return frozenset(others.values_list("name", flat=True))


def names_above(host: str) -> list[str]:
    """Return the host and every name above it, the nearest first; a name at the top belongs to nobody here."""
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]
