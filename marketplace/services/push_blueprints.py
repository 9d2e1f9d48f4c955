"""``git push`` of Blueprints: judged whole before ``main`` moves, in the catalogue before the pusher has the answer."""

from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Final

import pygit2
import structlog
from django.db import DatabaseError
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.gitops.incoming import Incoming, receiving, unpacked
from catalyst.core.gitops.push_protocol import MAIN_REFERENCE, NOTHING, Command, Push, answer, read_push
from catalyst.core.gitops.repository import open_or_create
from marketplace.models import SourceRepository
from marketplace.services.push_judge import PushRefused, judge_push
from marketplace.services.source_repositories import repository_path
from marketplace.services.take_pushed import take_pushed
from tenancy.models import User
from tenancy.services.audit import actor_name

logger = structlog.get_logger(__name__)

_SHADOWS: Final = "shadows="


class BranchRefused(DomainError):
    """The push wants something else than to go on from where ``main`` is."""

    code = "branch_refused"
    status = HTTPStatus.CONFLICT


def receive_push(*, repository: SourceRepository, body: bytes, pusher: User, now: datetime) -> bytes:
    """Answer one push, accepted or not, in the words of the git protocol. One that is refused changes nothing.

    :raises PushUnreadable: the request is not a push.
    """
    push = read_push(body)
    if not push.commands:
        return b""
    try:
        said = _accept(repository, push, pusher, now)
    except DomainError as error:
        reason = _("nothing has changed; see above")
        return answer(push, said=f"{error.message}\n", refusals={each.reference: reason for each in push.commands})
    return answer(push, said=said, refusals={})


def _accept(row: SourceRepository, push: Push, pusher: User, now: datetime) -> str:
    """Judge and accept the push, and return what the pusher is told."""
    path = repository_path(row)
    with receiving(path):
        take_pushed(repository_id=row.pk, now=now)  # what a push that died has left
        command = _only_main(push.commands)
        head = open_or_create(path).head()
        with unpacked(path, push.pack) as incoming:
            old, new = _commits(incoming, command, head)
            warnings = judge_push(row, old=old, new=new, shadows=_shadows(push.options))
            fp("push.accept.before_ref")
            incoming.accept(old=head, new=command.new, pushed_by=actor_name(pusher))
    fp("push.accept.after_ref")
    lines = [each.as_line() for each in warnings]
    return "".join(f"{line}\n" for line in [*lines, *_taken(row, now)])


def _taken(row: SourceRepository, now: datetime) -> list[str]:
    """Register what was accepted. It is accepted for good by now: what fails here, the next sweep does."""
    try:
        taken = take_pushed(repository_id=row.pk, now=now)
    except DatabaseError:
        logger.exception("push.taken_later", repository=str(row.uuid))
        return [_("Accepted. The catalogue shows it within a minute.")]
    if row.organization_id is None:
        return [_("%(version)s is a draft now. Somebody else publishes it.") % {"version": each} for each in taken]
    return [_("%(version)s is published for your Organization.") % {"version": each} for each in taken]


def _only_main(commands: Iterable[Command]) -> Command:
    found = list(commands)
    if len(found) != 1 or found[0].reference != MAIN_REFERENCE:
        raise BranchRefused(_("Only the branch main can be pushed: git push origin HEAD:main."))
    if found[0].new == NOTHING:
        raise BranchRefused(_("The branch main cannot be deleted. Remove folders in a commit and push that."))
    return found[0]


def _commits(incoming: Incoming, command: Command, head: str | None) -> tuple[pygit2.Commit | None, pygit2.Commit]:
    """Return where ``main`` is and where it shall be.

    :raises BranchRefused: the way from one to the other would lose commits.
    """
    if command.old != (head or NOTHING):
        raise BranchRefused(_("Somebody pushed meanwhile. Run git pull --rebase and push again."))
    new = incoming.commit(command.new)
    if new is None:
        raise PushRefused(_("The branch main must name a commit. Push a branch, not a tag or a file."))
    if head is not None and not incoming.is_behind(head, command.new):
        raise BranchRefused(
            _("This push would lose commits of main. Run git pull --rebase and push again, without --force.")
        )
    return incoming.commit(head) if head else None, new


def _shadows(options: Iterable[str]) -> frozenset[str]:
    return frozenset(each.removeprefix(_SHADOWS) for each in options if each.startswith(_SHADOWS))
