"""Take what a catalogue index holds: the signer answers for the rules that need rendering, all else is proven here.

Source: docs/decisions/0011-signed-catalogue-index.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

import structlog
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from marketplace.models import CatalogueIndex, TrustedKey
from marketplace.services.oci.artifact import ArtifactRefused, Descriptor, digest_of, read_manifest
from marketplace.services.oci.index import INDEX, TAG, Frame, Head, check_index, read_frames, read_head
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.oci.trust import fetch_signatures, find_signer
from marketplace.services.ruleset import ruleset
from marketplace.services.sync_ahead import work_ahead
from marketplace.services.sync_catalog import wait_for_others
from marketplace.services.sync_child import Answer, Child, ChildFailed
from marketplace.services.sync_prove import IsWanted, Proven, prove_frame
from marketplace.services.sync_run import Piece, Run, Verified
from marketplace.services.sync_written import WrittenJudge

Known = frozenset[tuple[str, str]]

logger = structlog.get_logger(__name__)

#: From so many new versions on a second process proves them; it takes two seconds to start.
_MANY: Final = 1000


@dataclass(frozen=True, slots=True)
class SignedIndex:
    """An index out of bytes that ``signer`` signed, who may attest. ``packs`` are not fetched yet."""

    head: Head
    digest: str
    packs: Sequence[Descriptor]
    signer: TrustedKey


def take_index(run: Run, known: Callable[[], Known]) -> bool:
    """Take what the index of the run's place has and is not ``known``; False when tags must be asked instead.

    That is so without an index, with one that is refused, which the report then says, and with one that another
    release of the linter judged.
    """
    attesters = [key for key in run.keys if key.may_attest]
    source = run.registry.manifest(run.location.repository(INDEX), TAG) if attesters else None
    if source is None:
        return False
    seen = CatalogueIndex.objects.filter(location=str(run.location), is_complete=True).first()
    if seen is not None and seen.digest == digest_of(source):
        run.report.known = seen.versions
        return True
    try:
        index = verify_index(run.registry, run.location, source, attesters)
        note_index(location=str(run.location), index=index, now=run.now)
        if index.head.rules != ruleset():
            run.report.notices.append(
                _("Another release judged the catalogue index: each new version is judged here. Publish it anew.")
            )
            return False
        _take(run, index, known())
    except ArtifactRefused as error:
        run.refuse(f"{INDEX}:{TAG}", error)
        return False
    if not run.refused:
        finish_index(location=str(run.location), digest=index.digest)
    return True


def verify_index(registry: Registry, location: Location, source: bytes, keys: Sequence[TrustedKey]) -> SignedIndex:
    """Prove the manifest of an index.

    :raises ArtifactRefused: none of ``keys`` signed it, or it is no index.
    """
    repository = location.repository(INDEX)
    manifest = read_manifest(source)
    signer = find_signer(fetch_signatures(registry, repository, manifest.digest), digest=manifest.digest, keys=keys)
    check_index(manifest)
    head = read_head(registry.blob(repository, manifest.config.digest, size=manifest.config.size))
    return SignedIndex(head, manifest.digest, manifest.layers, signer)


def read_packs(registry: Registry, location: Location, index: SignedIndex) -> Iterator[bytes]:
    """Fetch the packs, one after the other.

    :raises ArtifactRefused: the registry lacks one, or has other bytes.
    """
    repository = location.repository(INDEX)
    for pack in index.packs:
        yield registry.blob(repository, pack.digest, size=pack.size)


@use_case
def note_index(*, location: str, index: SignedIndex, now: datetime) -> None:
    """Write down that this index was seen, before anything of it is taken: nobody goes back behind it.

    :raises ArtifactRefused: a newer one was seen here, or another one under the same number.
    """
    wait_for_others()
    row = CatalogueIndex.objects.filter(location=location).first()
    serial = index.head.serial
    if row is not None and (serial, index.digest) == (row.serial, row.digest):
        return
    if row is not None and serial <= row.serial:
        words = {"serial": serial, "seen": row.serial}
        raise ArtifactRefused(
            _("The catalogue index has the number %(serial)d, and another one was seen here with %(seen)d.") % words
        )
    values = {"serial": serial, "digest": index.digest, "versions": index.head.versions, "seen_at": now}
    CatalogueIndex.objects.update_or_create(location=location, defaults={**values, "is_complete": False})


@use_case
def finish_index(*, location: str, digest: str) -> None:
    """Write down that all of this index was taken, unless a newer one was seen meanwhile."""
    CatalogueIndex.objects.filter(location=location, digest=digest).update(is_complete=True)


def _take(run: Run, index: SignedIndex, known: Known) -> None:
    asked = 0
    child = _start(run, known) if index.head.versions - len(known) >= _MANY else None

    def counted() -> Iterator[Piece]:
        nonlocal asked
        for answer in _proven(run, index, lambda *each: each not in known, child):
            asked += len(answer[1])
            yield _piece(answer, index.signer)

    try:
        left = run.take(counted())
    finally:
        if child is not None:
            child.stop()
    run.report.known = max(index.head.versions - asked, 0)
    count = asked
    while left and len(left) < count:  # what needs a Blueprint that came later in the index fits in the next round
        count, these = len(left), frozenset(left)
        again = _proven(run, index, lambda *each, these=these: each in these, None)
        left = run.take(_piece(answer, index.signer) for answer in again)


def _start(run: Run, known: Known) -> Child | None:
    try:
        return Child(run.keys[0].source, known)
    except ChildFailed as error:
        logger.warning("registry.sync_child_failed", reason=str(error))
        return None


def _proven(run: Run, index: SignedIndex, is_wanted: IsWanted, child: Child | None) -> Iterator[Answer]:
    """Yield what the frames hold and is wanted, proven ahead of its judgment: by the child, or by a thread."""
    judge = WrittenJudge(run.keys[0].source)
    for pack in read_packs(run.registry, run.location, index):
        done = 0
        try:
            for answer in _by_child(child, pack, judge, is_wanted) if child else ():
                done += 1
                yield answer
            if child:
                continue
        except ChildFailed as error:
            logger.warning("registry.sync_child_failed", reason=str(error))
            child = None
        frames = islice(read_frames(pack, is_wanted=is_wanted), done, None)
        ahead = work_ahead(lambda each: _here(each, judge, is_wanted), frames, threads=1)
        yield from (answer for _frame, answer in ahead)


def _by_child(child: Child, pack: bytes, judge: WrittenJudge, is_wanted: IsWanted) -> Iterator[Answer]:
    """Yield what the child proved; what it did not is proven here, so that the reason is said in our words."""
    frames = enumerate(read_frames(pack, is_wanted=is_wanted))
    for number, answer in enumerate(child.prove(pack)):
        if any(isinstance(each.found, Exception) for each in answer[1]):
            answer = next(_here(frame, judge, is_wanted) for at, frame in frames if at == number)
        yield answer


def _here(frame: Frame, judge: WrittenJudge, is_wanted: IsWanted) -> Answer:
    return frame.name, prove_frame(frame, judge, is_wanted)


def _piece(answer: Answer, signer: TrustedKey) -> Piece:
    name, found = answer
    return [(name, each.version) for each in found], [_verified(each, signer) for each in found]


def _verified(each: Proven, signer: TrustedKey) -> Verified | Exception:
    if isinstance(each.found, Exception):
        return each.found
    return Verified(each.found, each.digest, signer, is_attested=True, is_read=each.is_sound)
