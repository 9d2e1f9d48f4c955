"""Whether what runs may move to another version: what stands in the way, before any range is asked.

Source: blueprints.md §2 of the design (``upgrades``) and §5.
"""

from collections.abc import Iterable
from enum import StrEnum

from marketplace.selectors.resolver.graph import Candidate
from marketplace.selectors.version_ranges import is_allowed, parse_version


class Obstacle(StrEnum):
    """Why a running version cannot become another one."""

    #: It comes from elsewhere: an upgrade never changes the source.
    SOURCE = "source"
    #: It is the same version, or an earlier one.
    OLDER = "older"
    #: The target forbids it.
    BLOCKED = "blocked"
    #: The target does not take over this version: only a new Application can have it.
    RECREATE = "recreate"


def find_obstacle(running: Candidate, target: Candidate) -> Obstacle | None:
    """Return what keeps ``running`` from moving to ``target``, None when nothing does."""
    if target.source != running.source:
        return Obstacle.SOURCE
    if parse_version(target.version) <= parse_version(running.version):
        return Obstacle.OLDER
    if _holds(target.blocks, running.version):
        return Obstacle.BLOCKED
    # A pre-release moves on like the release that it became.
    if target.accepts and not _holds(target.accepts, running.version, running.version.partition("-")[0]):
        return Obstacle.RECREATE
    return None


def _holds(ranges: Iterable[str], *versions: str) -> bool:
    return any(is_allowed(version, each) for each in ranges for version in versions)
