"""Branches and previews say the same: a branch stands while the preview that was made of its commit can be applied.

The preview is written before the branch moves, so whoever dies in between leaves one that no branch speaks of; it ends
here, and so does a branch whose preview was applied, replaced or cancelled.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from catalyst.core.gitops.change_branches import drop_branch, list_branches
from catalyst.core.gitops.incoming import PushUnderWay, receiving
from marketplace.models import ChangePreview
from marketplace.services.changes_repository import repository_path
from tenancy.models import Environment

logger = structlog.get_logger(__name__)

#: For how long after its end an Environment's branches are still looked at by the sweep; the next push looks anyway.
_LOOKED_AT: Final = timedelta(days=7)


def pushed_commit(preview: ChangePreview) -> str:
    """Return the commit that a preview was made of."""
    return str(preview.request.get("pushed") or "")


def settle_branches(environment: Environment, *, now: datetime) -> None:
    """End the previews that no branch speaks of and drop the branches that have none; call while ``receiving``."""
    path = repository_path(environment)
    branches = list_branches(path)
    standing = _end_previews(environment.pk, branches, now=now)
    for branch in sorted(set(branches) - standing):
        drop_branch(path, branch)


def follow_branches(*, environment_id: int, now: datetime) -> None:
    """Settle one Environment now, unless somebody pushes to it, who does the same.

    :raises DomainError: its repository cannot be read.
    """
    if not _was_pushed_to(environment_id):
        return
    environment = Environment.objects.select_related("organization").get(pk=environment_id)
    try:
        with receiving(repository_path(environment)):
            settle_branches(environment, now=now)
    except PushUnderWay:
        return


def sweep_branches(*, now: datetime) -> None:
    """Settle every Environment that was pushed to lately. One broken repository stops only itself."""
    lately = ChangePreview.objects.exclude(branch="").filter(expires_at__gt=now - _LOOKED_AT)
    for environment_id in lately.order_by("environment_id").values_list("environment_id", flat=True).distinct():
        try:
            follow_branches(environment_id=environment_id, now=now)
        except (DomainError, OSError):
            logger.exception("branches_not_settled", environment=environment_id)


def _was_pushed_to(environment_id: int) -> bool:
    return ChangePreview.objects.filter(environment=environment_id).exclude(branch="").exists()


@use_case
def _end_previews(environment_id: int, branches: dict[str, str], *, now: datetime) -> set[str]:
    """Replace the open previews of commits that no branch has any more; return the branches that keep one."""
    standing: set[str] = set()
    open_ones = ChangePreview.objects.filter(environment=environment_id, state=ChangePreview.State.OPEN)
    for preview in open_ones.exclude(branch="").select_for_update().order_by("pk"):
        if preview.expires_at > now and branches.get(preview.branch) == pushed_commit(preview):
            standing.add(preview.branch)
            continue
        ChangePreview.objects.filter(pk=preview.pk).update(state=ChangePreview.State.SUPERSEDED)
    return standing
