"""Taking into the catalogue what was pushed: rows follow ``main``, whoever died in between.

A push moves ``main`` only when everything before it is taken, so the difference between what is taken and ``main`` is
always exactly one accepted push.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from django.db.models import Max

from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.failpoints import fp
from catalyst.core.gitops.incoming import pushed_by, read_commit
from catalyst.core.gitops.repository import open_or_create
from marketplace.models import Availability, Blueprint, BlueprintVersion, Category, SourceRepository
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.catalogue_seed import card_of_folder
from marketplace.services.push_files import changed_folders
from marketplace.services.push_judge import own_versions
from marketplace.services.source_repositories import repository_path, source_of
from marketplace.services.sync_catalog import SyncReport, is_newest, record_version, settle_row, wait_for_others
from tenancy.services.audit import SOVEREIGN_STREAM, append_audit, organization_stream

logger = structlog.get_logger(__name__)

#: Who acted, where the push left no name: its machine died between the two.
_NOBODY = "git"


def take_pushed(*, repository_id: int, now: datetime) -> list[str]:
    """Register what ``main`` has and the catalogue has not; return it as ``bp-name 1.2.0``. Harmless to repeat.

    :raises ContractRefused: ``main`` holds what no push would have been let through with; nothing is written.
    """
    row = SourceRepository.objects.select_related("organization").get(pk=repository_id)
    path = repository_path(row)
    head = open_or_create(path).head()
    if head is None or head == row.taken_commit:
        return []
    old = read_commit(path, row.taken_commit) if row.taken_commit else None
    folders = [each.checked(source_of(row)) for each in changed_folders(row, old=old, new=read_commit(path, head))]
    fp("push.take.before_record")
    return _record(
        repository_id=repository_id,
        seen=row.taken_commit,
        head=head,
        folders=folders,
        actor=pushed_by(path, head) or _NOBODY,
        now=now,
    )


def take_all(*, now: datetime) -> int:
    """Take what is left of every repository, and return how many had something; one that fails stops no other."""
    taken = 0
    for row in SourceRepository.objects.order_by("pk"):
        try:
            taken += bool(take_pushed(repository_id=row.pk, now=now))
        except ContractRefused:
            logger.exception("push.not_taken", repository=str(row.uuid))
    return taken


@use_case
def _record(
    *,
    repository_id: int,
    seen: str,
    head: str,
    folders: Sequence[BlueprintFolder],
    actor: str,
    now: datetime,
) -> list[str]:
    """Write everything of one push in one transaction, unless somebody else just did."""
    wait_for_others()
    rows = SourceRepository.objects.select_for_update(of=("self",)).select_related("organization")
    row = rows.get(pk=repository_id)
    if row.taken_commit != seen:
        return []
    taken = [each for folder in folders for each in _register(row, folder, head, actor, now)]
    row.taken_commit = head
    row.save(update_fields=["taken_commit"])
    fp("push.take.in_tx")
    return taken


def _register(row: SourceRepository, folder: BlueprintFolder, head: str, actor: str, now: datetime) -> list[str]:
    contract = folder.contract
    versions = own_versions(row, contract.name)
    present = versions.filter(version=contract.version).first()
    if present is not None and present.state != BlueprintVersion.State.DRAFT:
        return []
    is_draft = row.organization_id is None
    others = list(versions.exclude(version=contract.version).values_list("version", flat=True))
    if present is not None:
        present.delete()
    blueprint = _blueprint(row, folder, is_draft=is_draft, is_newest=is_newest(contract.version, others))
    state = BlueprintVersion.State.DRAFT if is_draft else BlueprintVersion.State.PUBLISHED
    version = record_version(blueprint.pk, folder, digest=folder.digest, commit=head, state=state)
    _tell(row, version, actor=actor, is_replaced=present is not None)
    return [f"{contract.name} {contract.version}"]


def _blueprint(row: SourceRepository, folder: BlueprintFolder, *, is_draft: bool, is_newest: bool) -> Any:
    """Return the row that the version belongs to. A draft writes a card only where none was published before."""
    name = folder.contract.name
    present = Blueprint.objects.filter(source=source_of(row), organization=row.organization_id, name=name).first()
    is_published = present is not None and present.versions.exclude(state=BlueprintVersion.State.DRAFT).exists()
    if present is not None and (not is_newest or (is_draft and is_published)):
        return present
    values = card_of_folder(folder) | {
        "category": Category.objects.get(slug=folder.contract.card.category),
        "state": Availability.NOW,
        # A draft is nobody's business yet: publishing says who sees it.
        "visibility": Blueprint.Visibility.PRIVATE,
    }
    if present is None:
        last = Blueprint.objects.aggregate(last=Max("position"))["last"] or 0
        values |= {"name": name, "position": last + 1}
        values |= {"source": source_of(row), "organization_id": row.organization_id}
    return settle_row(Blueprint, present, name.removeprefix("bp-"), values, SyncReport())


def _tell(row: SourceRepository, version: BlueprintVersion, *, actor: str, is_replaced: bool) -> None:
    """Write the audit entry and the event of one version."""
    topic = "blueprint.drafted" if version.state == BlueprintVersion.State.DRAFT else "blueprint.published"
    stream = organization_stream(row.organization) if row.organization else SOVEREIGN_STREAM
    name = version.blueprint.name
    detail = {"version": version.version, "digest": version.digest, "commit": version.commit, "replaces": is_replaced}
    append_audit(stream=stream, actor=actor, action=topic, target=f"blueprint:{name}", detail=detail)
    outbox.publish(
        topic=topic,
        key=f"{topic}:{version.pk}",
        stream=stream,
        payload={"blueprint": name, "version": version.version, "source": source_of(row)},
    )
