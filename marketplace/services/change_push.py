"""``git push`` to ``change/<name>``: judged whole by the one planner before the branch moves, then a preview to apply.

Source: gitops.md §12 of the design; docs/git.md.
"""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Final

import structlog
from django.db import DatabaseError
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.gitops.change_branches import CHANGE_BRANCH, drop_branch, list_branches
from catalyst.core.gitops.incoming import receiving, unpacked
from catalyst.core.gitops.push_protocol import MAIN_REFERENCE, NOTHING, Command, Push, answer, read_push
from catalyst.core.gitops.repository import open_repository
from marketplace.manifests.reading import STATED_PATHS, read_stated
from marketplace.models import Change, ChangePreview
from marketplace.services.change_previews import PREVIEW_VALID, PreviewHasProblems, apply_preview, preview_change
from marketplace.services.change_push_branches import settle_branches
from marketplace.services.change_push_files import ChangePushRefused, read_pushed, refused
from marketplace.services.change_push_intents import PushedRequest, build_request
from marketplace.services.changes_repository import repository_path
from tenancy.models import Environment, User

logger = structlog.get_logger(__name__)

APPLY_OPTION: Final = "catalyst.apply"
#: How many branches may wait in one Environment.
MAX_BRANCHES: Final = 100
_HEADS: Final = "refs/heads/"
_PASSES: Final = "passes"


class BranchRefused(DomainError):
    """The push wants to move or delete what people do not move or delete."""

    code = "branch_refused"
    status = HTTPStatus.CONFLICT


def receive_change_push(
    *,
    environment: Environment,
    body: bytes,
    pusher: User,
    may_apply: bool,
    address: Callable[[ChangePreview], str],
    now: datetime,
) -> bytes:
    """Answer one push, accepted or not, in the words of the git protocol. One that is refused changes nothing.

    ``may_apply`` says whether the pusher may apply too; ``address`` is where a person looks at a preview.

    :raises PushUnreadable: the request is not a push.
    """
    push = read_push(body)
    if not push.commands:
        return b""
    try:
        command = _only_branch(push.commands)
        if command.new == NOTHING:
            lines = _delete(environment, command, pusher, now=now)
        else:
            preview = _accept(environment, push, command, pusher, now=now)
            lines = _told(preview, address(preview))
            lines += _apply(environment, preview, pusher, may_apply=may_apply, now=now) if _wants(push) else []
    except DomainError as error:
        reason = _("nothing has changed; see above")
        said = _printable(f"{error.message}\n")
        return answer(push, said=said, refusals={each.reference: reason for each in push.commands})
    return answer(push, said=_printable("".join(f"{line}\n" for line in lines)), refusals={})


def _only_branch(commands: tuple[Command, ...]) -> Command:
    """Return the one wish of a push.

    :raises BranchRefused: it is about something else than one branch for a Change.
    """
    for each in commands:
        if each.reference == MAIN_REFERENCE:
            raise BranchRefused(
                _("Only the platform writes main. Push a branch instead: git push origin HEAD:change/my-change")
            )
        if each.reference.startswith("refs/tags/"):
            raise BranchRefused(_("An Environment has no tags. Push a branch: git push origin HEAD:change/my-change"))
        if CHANGE_BRANCH.fullmatch(each.reference.removeprefix(_HEADS)) is None:
            text = _(
                "Only branches like change/my-change can be pushed: after change/ at most 63 small letters, digits and "
                "hyphens, neither first nor last a hyphen."
            )
            raise BranchRefused(text)
    if len(commands) > 1:
        raise BranchRefused(_("Push one branch at a time, so that each becomes a change of its own."))
    return commands[0]


def _accept(environment: Environment, push: Push, command: Command, pusher: User, *, now: datetime) -> ChangePreview:
    """Judge the push, keep its preview, then move the branch to it."""
    path = repository_path(environment)
    branch = command.reference.removeprefix(_HEADS)
    with receiving(path):
        settle_branches(environment, now=now)
        environment.refresh_from_db(fields=["head_commit"])
        _check_branch(environment, command, branch, pusher)
        with unpacked(path, push.pack) as incoming:
            pushed = read_pushed(incoming, head=environment.head_commit, tip=command.new)
            main = open_repository(path).read_tree(environment.head_commit, matching=STATED_PATHS)
            asked = build_request(pushed.changed, read_stated(main))
            preview = _preview(environment, asked, command.new, branch, pushed.reason, pusher, now=now)
            fp("change_push.before_branch")
            old = None if command.old == NOTHING else command.old
            incoming.accept_branch(command.reference, old=old, new=command.new)
        fp("change_push.after_branch")
        try:
            settle_branches(environment, now=now)  # what this branch asked for before is replaced
        except DatabaseError:
            logger.exception("change_push.settled_later", environment=environment.pk)
    return preview


def _check_branch(environment: Environment, command: Command, branch: str, pusher: User) -> None:
    standing = list_branches(repository_path(environment))
    if command.old != standing.get(branch, NOTHING):
        text = _("The branch %(branch)s is elsewhere by now. Run git fetch --prune, look at it, and push again.")
        raise BranchRefused(text % {"branch": branch})
    rows = ChangePreview.objects.filter(environment=environment, branch=branch, state=ChangePreview.State.OPEN)
    if branch in standing and rows.exclude(author=pusher).exists():
        raise BranchRefused(_("This branch is somebody else's. Push under another name: change/<name>."))
    if branch not in standing and len(standing) >= MAX_BRANCHES:
        text = _("%(count)d branches wait here already. Apply or delete some: git push --delete origin change/<name>")
        raise BranchRefused(text % {"count": len(standing)})


def _preview(
    environment: Environment,
    asked: PushedRequest,
    commit: str,
    branch: str,
    reason: str,
    pusher: User,
    *,
    now: datetime,
) -> ChangePreview:
    """Return the preview of what was pushed, ready to be applied.

    :raises ChangePushRefused: the planner has something against it; each problem at its place in the files.
    """
    try:
        preview = preview_change(
            environment=environment,
            request=asked.as_request(commit),
            actor=pusher,
            reason=reason,
            branch=branch,
            is_strict=True,
            now=now,
        )
    except PreviewHasProblems as error:
        found = [asked.finding(each["code"], each["pointer"], each["detail"]) for each in error.extra["problems"]]
        raise refused(found) from None
    except DomainError as error:
        raise refused([asked.finding(error.code, error.pointer, error.message)]) from None
    if Change.objects.filter(preview=preview).exists():
        raise ChangePushRefused(_("This commit was applied already. Look at the history of the Environment."))
    _reopen(preview, now=now)
    return preview


@use_case
def _reopen(preview: ChangePreview, *, now: datetime) -> None:
    """Let a commit that was pushed before, and replaced by another one since, be applied again."""
    ended = [ChangePreview.State.SUPERSEDED, ChangePreview.State.CANCELLED]
    ChangePreview.objects.filter(pk=preview.pk, state__in=ended).update(
        state=ChangePreview.State.OPEN, expires_at=now + PREVIEW_VALID
    )


def _delete(environment: Environment, command: Command, pusher: User, *, now: datetime) -> list[str]:
    """Take back a branch of one's own with what it asks for."""
    branch = command.reference.removeprefix(_HEADS)
    with receiving(repository_path(environment)):
        settle_branches(environment, now=now)
        _check_branch(environment, command, branch, pusher)
        _cancel(environment, branch)
        fp("change_push.before_drop")
        drop_branch(repository_path(environment), branch)
    return [_("%(branch)s is deleted; what it asked for is cancelled.") % {"branch": branch}]


@use_case
def _cancel(environment: Environment, branch: str) -> None:
    rows = ChangePreview.objects.filter(environment=environment, branch=branch, state=ChangePreview.State.OPEN)
    rows.update(state=ChangePreview.State.CANCELLED)


def _told(preview: ChangePreview, address: str) -> list[str]:
    """Return what the pusher is told of an accepted push."""
    shown = preview.shown
    lines = [_("Accepted: %(summary)s") % {"summary": preview.summary}, *shown["warnings"]]
    lines += [each["text"] for each in shown["policy"] if each["outcome"] != _PASSES]
    lines += [each["text"] for each in shown["data"]]
    cost = shown["cost_delta"]
    if cost and cost["is_sale"]:
        lines.append(cost["note"] or _("What this brings is bought when it is applied; the preview shows the price."))
    lines.append(_("Look at it and apply it: %(address)s") % {"address": address})
    lines.append(_("Preview %(id)s, valid for 24 hours.") % {"id": preview.pk})
    return lines


def _wants(push: Push) -> bool:
    return APPLY_OPTION in push.options


def _apply(
    environment: Environment, preview: ChangePreview, pusher: User, *, may_apply: bool, now: datetime
) -> list[str]:
    """Apply what was accepted, or say why not: the branch and its preview stand either way."""
    reasons = [each["text"] for each in preview.shown["policy"] if each["outcome"] != _PASSES]
    if not may_apply:
        reasons = [_("Your role, or this token, does not allow applying.")]
    if reasons:
        return [_("Not applied. %(reason)s") % {"reason": " ".join(reasons)}]
    try:
        change = apply_preview(environment=environment, preview_id=preview.pk, actor=pusher, now=now)
    except DomainError as error:
        return [_("Not applied. %(reason)s") % {"reason": error.message}]
    return [_("Applied: change %(change)s is being saved.") % {"change": change.pk}]


def _printable(text: str) -> str:
    """Return a text that moves no cursor: names and keys of the push stand in it."""
    return "".join(each if each == "\n" or each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
