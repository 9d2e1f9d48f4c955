"""What of money is still open where something is to be deleted. This app knows nothing of money: one above tells it."""

from collections.abc import Callable, Iterable

from tenancy.models import Organization

#: Returns sentences, each one thing that has to be settled first. ``env_type`` None: of the whole Organization.
ObligationSource = Callable[[Organization, str | None], Iterable[str]]
_sources: list[ObligationSource] = []


def register_obligations(source: ObligationSource) -> ObligationSource:
    """Let an app that lies higher say what is not settled."""
    _sources.append(source)
    return source


def obligations_of(organization: Organization, env_type: str | None = None) -> list[str]:
    """Return what has to be settled before this is deleted, empty when nothing is open."""
    return [text for source in _sources for text in source(organization, env_type)]
