"""The sandbox reconciler's credential: a reader with a token of its own, as Flux has one for each repository.

It is a visible member (``org-viewer``) of each Organization whose Environments it reads: nothing passes the rights that
everybody has. Only a sandbox Sovereign has one.
"""

from datetime import datetime, timedelta

from marketplace.services.changes_repository import repository_path
from tenancy.models import ApiToken, Environment, Membership, User
from tenancy.services.memberships import add_member
from tenancy.services.tokens import issue_token, revoke_token
from tenancy.services.users import ensure_user

READER = "sandbox-reconciler@localhost"
_ACTOR = "sandbox_reconciler"
_LIFETIME = timedelta(days=30)


def issue_reader_token(*, now: datetime) -> tuple[User, str]:
    """Return the reader and a new token that only fetches; tokens of earlier runs end."""
    reader = ensure_user(email=READER, display_name="Sandbox reconciler", actor=_ACTOR)
    for token_id in list(ApiToken.objects.live().filter(user=reader).values_list("pk", flat=True)):
        revoke_token(token_id=token_id, actor=_ACTOR, now=now)
    _token, plaintext = issue_token(
        user=reader,
        scopes=["git.read"],
        name="sandbox reconciler",
        expires_at=now + _LIFETIME,
        actor=_ACTOR,
        now=now,
    )
    return reader, plaintext


def let_reader_in(*, reader: User, environment: Environment) -> None:
    """Make the reader a viewer of the Environment's Organization; harmless to repeat."""
    add_member(organization=environment.organization, user=reader, role=Membership.Role.VIEWER, actor=_ACTOR)


def clone_path(environment: Environment) -> str:
    """Return the path of the repository's public address."""
    path = repository_path(environment)
    return f"/git/{path.parent.name}/{path.name}"
