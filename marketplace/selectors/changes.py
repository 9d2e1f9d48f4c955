"""Changes as the API shows them: who, why, which order, and what the commit changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from catalyst.core.errors import NotFound
from catalyst.core.models import Outbox
from marketplace.models import Change
from tenancy.models import Organization

_COMMITTED = "change.committed"


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One path of a commit; ``change`` is added, modified or removed."""

    path: str
    change: str


def changes_of(organization: Organization, env_type: str) -> QuerySet[Change]:
    """Return the Changes of one Environment with their authors and approvals, in no order."""
    changes = Change.objects.filter(organization=organization, environment__env_type=env_type)
    return changes.select_related("author").prefetch_related("approvals__approver")


def approvers_of(change: Change) -> list[str]:
    """Return the names of those who said yes, without a query where ``changes_of`` gave the Change."""
    said = sorted((each for each in change.approvals.all() if not each.is_emergency), key=lambda each: each.created_at)
    return [each.approver.display_name for each in said]


def get_change(organization: Organization, env_type: str, change_id: UUID) -> Change:
    """Return one Change.

    :raises NotFound: there is none in this Environment.
    """
    change = changes_of(organization, env_type).filter(pk=change_id).first()
    if change is None:
        raise NotFound(_("Not found."))
    return change


def changed_files(changes: Iterable[Change]) -> dict[UUID, list[ChangedFile]]:
    """Return what each committed Change touched, from the event log: no reader asks Git."""
    keys = {f"{_COMMITTED}:{change.pk}": change.pk for change in changes if change.commit}
    rows = Outbox.objects.filter(dedup_key__in=list(keys)).values_list("dedup_key", "payload")
    return {keys[key]: _files(payload) for key, payload in rows}


def _files(payload: dict[str, Any]) -> list[ChangedFile]:
    files = [ChangedFile(path, change) for change, paths in payload.get("files", {}).items() for path in paths]
    return sorted(files, key=lambda each: each.path)
