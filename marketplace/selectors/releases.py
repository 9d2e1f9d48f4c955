"""The versions of one Blueprint as readers see them, and what the event log remembers of their lives.

Source: docs/blueprints.md, "Life of a version".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.errors import NotFound, PermissionRefused
from catalyst.core.models import Outbox
from marketplace.models import Blueprint, BlueprintVersion
from marketplace.selectors.blueprint_index import nearest_rows
from tenancy.models import Organization

#: What readers see: a draft is its author's, and what is in review its reviewers'.
SHOWN: Final = (BlueprintVersion.State.PUBLISHED, BlueprintVersion.State.RETIRED)


@dataclass(frozen=True, slots=True)
class Release:
    """One version. ``reason`` is why it was retired or yanked; ``signed_by`` is empty where no key signed it."""

    id: int
    version: str
    state: str
    digest: str
    published_at: datetime
    is_yanked: bool
    is_security: bool
    changelog: str
    signed_by: str
    commit: str
    reason: str
    is_danger: bool

    @property
    def is_retired(self) -> bool:
        return self.state == BlueprintVersion.State.RETIRED


def blueprint_stream(blueprint_id: int) -> str:
    """Return the name of the event stream in which the lives of a Blueprint's versions are told."""
    return f"blueprint:{blueprint_id}"


def releases_of(blueprint_id: int) -> tuple[Release, ...]:
    """Return what was ever published of a Blueprint, newest first."""
    rows = BlueprintVersion.objects.filter(blueprint=blueprint_id, state__in=SHOWN).select_related("signer")
    rows = rows.defer("files", "contract").order_by("-major", "-minor", "-patch", "-published_at")
    told = _last_words(blueprint_id)
    return tuple(_release(row, told.get(row.pk, {})) for row in rows)


def nearest_blueprint(name: str, organization: Organization | None) -> Blueprint:
    """Return what a name means to this reader: the Blueprint of the nearest source.

    :raises NotFound: missing, or not this reader's.
    """
    found = nearest_rows(Blueprint.objects.visible_to(organization).filter(name=name), lambda row: row.source)
    if not found:
        raise NotFound(_("Not found."))
    return found[0]


def own_blueprint(name: str, organization: Organization) -> Blueprint:
    """Return one of the Organization's own Blueprints.

    :raises PermissionRefused: the name is somebody else's, who alone decides on its versions.
    :raises NotFound: missing, or not this reader's.
    """
    blueprint = nearest_blueprint(name, organization)
    if blueprint.source != Blueprint.Source.ORG:
        text = _("This Blueprint is not your Organization's own: its publisher decides on its versions.")
        raise PermissionRefused(text)
    return blueprint


def own_version(name: str, version: str, organization: Organization) -> BlueprintVersion:
    """Return a version of one of the Organization's own Blueprints.

    :raises PermissionRefused: :raises NotFound: as ``own_blueprint``; there is no such version.
    """
    rows = BlueprintVersion.objects.filter(blueprint=own_blueprint(name, organization), version=version)
    found = rows.select_related("blueprint").first()
    if found is None:
        raise NotFound(_("Not found."))
    return found


def _last_words(blueprint_id: int) -> dict[int, Mapping[str, Any]]:
    """Return what was last said when a version was retired or yanked, by version."""
    topics = ["blueprint_version.retired", "blueprint_version.yanked"]
    events = Outbox.objects.filter(stream=blueprint_stream(blueprint_id), topic__in=topics).order_by("id")
    told: dict[int, Mapping[str, Any]] = {}
    for topic, payload in events.values_list("topic", "payload"):
        before = told.get(payload["version_id"], {})
        # Why it was withdrawn is more than why it was retired, whichever was later.
        if topic == "blueprint_version.yanked" or "security" not in before:
            told[payload["version_id"]] = payload
    return told


def _release(row: BlueprintVersion, told: Mapping[str, Any]) -> Release:
    is_out = row.yanked_at is not None or row.state == BlueprintVersion.State.RETIRED
    return Release(
        id=row.pk,
        version=row.version,
        state=row.state,
        digest=row.digest,
        published_at=row.published_at,
        is_yanked=row.yanked_at is not None,
        is_security=row.is_security,
        changelog=row.changelog,
        signed_by=row.signer.publisher if row.signer else "",
        commit=row.commit,
        reason=str(told.get("reason", "")) if is_out else "",
        is_danger=bool(told.get("security", False)) and row.yanked_at is not None,
    )
