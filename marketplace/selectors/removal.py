"""What goes when Applications are removed: they, and the services that nobody else needs. One pure function.

A service stays as long as one Application that stays was installed with it. Source: docs/delivery.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Removal:
    """``removed`` are the names that go, sorted; ``needed`` were asked for and stay, with who needs them."""

    removed: tuple[str, ...]
    needed: Mapping[str, tuple[str, ...]]


def find_removal(requested_by: Mapping[str, frozenset[str]], slugs: Iterable[str]) -> Removal:
    """Return what goes. ``requested_by``: every Application with those that need it; nobody when it was bought."""
    asked = set(slugs) & set(requested_by)
    gone = set(asked)
    while needed := {name for name in gone if requested_by[name] - gone}:
        gone -= needed
    while unneeded := {name for name, users in requested_by.items() if users and users <= gone} - gone:
        gone |= unneeded
    kept = sorted(asked - gone)
    return Removal(
        removed=tuple(sorted(gone)),
        needed={name: tuple(sorted(requested_by[name] - gone)) for name in kept},
    )
