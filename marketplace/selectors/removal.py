"""What goes when Applications are removed: they, and the services that nobody else needs. One pure function.

A service stays as long as one Application that stays was installed with it. Source: docs/delivery.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from marketplace.selectors.installed import current_applications
from tenancy.models import Environment


@dataclass(frozen=True, slots=True)
class Removal:
    """``removed`` are the names that go, sorted. ``needed`` are names that were asked for and stay, with who needs
    them; ``missing`` were asked for and are not there."""

    removed: tuple[str, ...]
    needed: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]


def removable(environment: Environment, slugs: Iterable[str]) -> Removal:
    """Return what would go if these Applications were removed today."""
    rows = current_applications(environment.pk)
    return find_removal({row.slug: frozenset(row.requested_by) for row in rows}, slugs)


def find_removal(requested_by: Mapping[str, frozenset[str]], slugs: Iterable[str]) -> Removal:
    """Return what goes. ``requested_by``: every Application with those that need it; nobody when it was bought."""
    asked = set(slugs)
    gone = asked & set(requested_by)
    while needed := {name for name in gone if requested_by[name] - gone}:
        gone -= needed
    while unneeded := {name for name, users in requested_by.items() if users and users <= gone} - gone:
        gone |= unneeded
    kept = sorted((asked & set(requested_by)) - gone)
    return Removal(
        removed=tuple(sorted(gone)),
        needed={name: tuple(sorted(requested_by[name] - gone)) for name in kept},
        missing=tuple(sorted(asked - set(requested_by))),
    )
