"""Commits on ``main`` that are not ours: a person decides to put things back, and the platform writes again.

The foreign commit stays in the history; what follows it is a Change like any other. Source: gitops.md §4 of the design.
"""

from datetime import datetime
from http import HTTPStatus

from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from marketplace.models import Change, ChangePreview
from marketplace.services.change_previews import apply_preview, preview_change
from marketplace.services.changes_desired import texts_of
from marketplace.services.changes_repository import repository_of
from marketplace.services.edits import ChangeInProgress, lock_environment
from marketplace.services.planner_request import ChangeRequest
from tenancy.models import Environment, User
from tenancy.services.audit import append_audit, organization_stream


class NothingForeign(DomainError):
    """``main`` is where the platform left it."""

    code = "nothing_foreign"
    status = HTTPStatus.CONFLICT


def foreign_head(environment: Environment) -> str:
    """Return the commit that somebody else left on ``main``, empty when there is none; asks Git.

    One that we went on from stays foreign until ours stands upon it: whoever died in between asks again.
    """
    head = repository_of(environment).head() or ""
    is_known = head == environment.head_commit
    is_ours = not head or Change.objects.filter(environment=environment, commit=head).exists()
    return "" if is_known and is_ours else head


def put_back(*, environment: Environment, actor: User, reason: str = "", now: datetime) -> Change:
    """Write what the platform knows over what somebody else wrote, as a Change of its own.

    :raises NothingForeign: there is nothing to put back. :raises ChangeInProgress: a writer is at work.
    """
    seen = foreign_head(environment)
    if not seen:
        raise NothingForeign(_("The repository holds nothing that is not ours."))
    readme, owners = _own_texts(environment)
    environment = _go_on_from(environment, seen, actor=actor, now=now)
    request = ChangeRequest(put_back=True, readme=readme, code_owners=owners)
    preview: ChangePreview = preview_change(
        environment=environment, request=request, actor=actor, reason=reason, now=now
    )
    return apply_preview(environment=environment, preview_id=preview.pk, actor=actor, now=now)


def _own_texts(environment: Environment) -> tuple[str, str]:
    """Return the texts for people as our own last commit has them."""
    ours = Change.objects.filter(environment=environment).exclude(commit="").order_by("-seq")
    own = ours.values_list("commit", flat=True).first()
    return texts_of(repository_of(environment).read_tree(own) if own else {})


@use_case
def _go_on_from(environment: Environment, head: str, *, actor: User, now: datetime) -> Environment:
    """Let the next commit stand upon what is there. The gapless numbers count our commits only."""
    environment = lock_environment(environment)
    if environment.lease_until is not None and environment.lease_until > now:
        raise ChangeInProgress(_("Another change of this Environment is being saved. Try again in a moment."))
    left = environment.head_commit
    if left == head:
        return environment
    environment.head_commit = head
    environment.save(update_fields=["head_commit"])
    append_audit(
        stream=organization_stream(environment.organization),
        actor=actor,
        action="foreign_commit.taken_over",
        target=f"environment:{environment.uuid}",
        detail={"left": left, "found": head},
    )
    return environment
