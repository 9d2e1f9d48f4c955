"""API tokens: issued once in the clear, kept as a hash, revoked for good.

``create_token`` is what a person calls, ``issue_token`` what a program or an operator calls.
Source: docs/team.md.
"""

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from catalyst.core import names, outbox
from catalyst.core.database import use_case, violated_constraint
from catalyst.core.errors import DomainError, PermissionRefused
from tenancy.models import ApiToken, Membership, Organization, User
from tenancy.selectors.permissions import ORGANIZATION_PERMISSIONS, PERSON_ONLY, SOVEREIGN_PERMISSIONS, can
from tenancy.services.audit import SOVEREIGN_STREAM, append_audit, organization_stream

PREFIX = "cat_"
#: What a person may have: a list that can be looked through, and nothing that lives for ever.
MOST_TOKENS: Final = 50
LONGEST_LIFE: Final = timedelta(days=366)
_RANDOM_BYTES = 30  # 240 bits, 40 url-safe characters


class ScopeUnknown(DomainError):
    code = "scope_unknown"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class NotAMember(DomainError):
    code = "not_a_member"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TokenRefused(DomainError):
    """Its name or end cannot be."""

    code = "token_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TokenLimit(DomainError):
    code = "token_limit"
    status = HTTPStatus.CONFLICT


class TokenExists(DomainError):
    """The same form was sent before; its token was shown then."""

    code = "token_exists"
    status = HTTPStatus.CONFLICT


def hash_token(plaintext: str) -> bytes:
    """Return the form in which a token is stored and looked up; 240 random bits need no slow hash."""
    return hashlib.sha256(plaintext.encode()).digest()


def create_token(
    *,
    owner: User,
    name: str,
    expires_at: datetime,
    now: datetime,
    organization: Organization | None = None,
    env_type: str = "",
    scopes: Sequence[str] = (),
    key: uuid.UUID | None = None,
) -> tuple[ApiToken, str]:
    """Make a token for whoever asks, personal or of one Organization; return it with its text, which nobody sees again.

    Its rights are its scopes that the owner also holds at the moment of use; no scopes means all of the owner's, and
    none of them manages members or tokens. ``key`` names the form, so that one sent twice makes one token.

    :raises TokenRefused: it has no name, or no end within a year.
    :raises ScopeUnknown: a scope is no permission that a token can have, or the Environment type does not exist.
    :raises PermissionRefused: the person may not make tokens of the Organization.
    :raises TokenLimit: the person has as many as can be. :raises TokenExists: the form was sent before.
    """
    _check_asked(name, expires_at, now)
    token = ApiToken(
        uuid=key or uuid.uuid4(),
        name=name.strip(),
        user=owner,
        organization=organization,
        env_type=env_type,
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=expires_at,
    )
    try:
        return token, _create(token)
    except IntegrityError as error:
        if violated_constraint(error) != "tenancy_apitoken_uuid_key":
            raise
        text = _("This token was made already, and shown once. If you did not keep it, revoke it and make another.")
        raise TokenExists(text) from None


@use_case
def _create(token: ApiToken) -> str:
    _check_scopes(token.scopes, token.env_type)
    # The person's row is the lock: two at once must not both be the last one.
    owner = User.objects.select_for_update(of=("self",), no_key=True).get(pk=token.user_id)
    if token.organization is not None and not can(owner, "token.create", token.organization):
        raise PermissionRefused(_("Your role does not allow this."))
    if ApiToken.objects.live().filter(user=owner).count() >= MOST_TOKENS:
        text = _("You have %(number)s tokens, which is as many as there can be. Revoke one that nothing uses.")
        raise TokenLimit(text % {"number": MOST_TOKENS})
    plaintext = _write(token, actor=owner)
    outbox.publish(
        topic="token.created",
        key=f"token.created:{token.uuid}",
        stream=_stream(token),
        payload={"token": str(token.uuid)},
    )
    return plaintext


@transaction.atomic(durable=True)
def issue_token(
    *,
    user: User,
    actor: User | str,
    now: datetime,
    organization: Organization | None = None,
    env_type: str = "",
    scopes: Sequence[str] = (),
    name: str = "",
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make a token for a program of the platform or an operator, and return it with its text.

    Its rights are its scopes that the owner also holds at the moment of use; no scopes means all of the owner's. Nobody
    is told by mail.

    :raises ScopeUnknown: a scope is no permission that a token can have, or the Environment type does not exist.
    :raises NotAMember: the owner does not belong to the Organization.
    """
    _check_scopes(scopes, env_type)
    if organization and not Membership.objects.live().filter(user=user, organization=organization).exists():
        raise NotAMember(_("The token's owner does not belong to this Organization."))
    token = ApiToken(
        name=name,
        user=user,
        organization=organization,
        env_type=env_type,
        scopes=list(scopes),
        created_at=now,
        expires_at=expires_at,
    )
    return token, _write(token, actor=actor)


@transaction.atomic(durable=True)
def revoke_token(*, token_id: int, actor: User | str, now: datetime) -> bool:
    """Close a token for good; return whether it was open until now."""
    revoked = ApiToken.objects.filter(pk=token_id, revoked_at__isnull=True).update(revoked_at=now)
    if not revoked:
        return False
    _record(
        ApiToken.objects.select_related("organization", "user").get(pk=token_id), action="token.revoked", actor=actor
    )
    return True


def _check_asked(name: str, expires_at: datetime, now: datetime) -> None:
    if not name.strip():
        raise TokenRefused(_("Give the token a name that says what uses it."), pointer="/name")
    if not now < expires_at <= now + LONGEST_LIFE:
        raise TokenRefused(_("A token ends within a year. Choose an earlier day."), pointer="/expires_at")


def _check_scopes(scopes: Sequence[str], env_type: str) -> None:
    known = (ORGANIZATION_PERMISSIONS.keys() | SOVEREIGN_PERMISSIONS.keys()) - PERSON_ONLY
    unknown = sorted(set(scopes) - known)
    if unknown:
        raise ScopeUnknown(_("Unknown scope: %(scope)s.") % {"scope": unknown[0]}, pointer="/scopes")
    if env_type and env_type not in names.ENVIRONMENT_TYPES:
        raise ScopeUnknown(_("There is no such Environment type."), pointer="/env_type")


def _write(token: ApiToken, *, actor: User | str) -> str:
    """Insert a token and return its text; a step."""
    plaintext = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    token.token_hash = hash_token(plaintext)
    token.hint = f"{PREFIX}…{plaintext[-4:]}"
    token.save(force_insert=True)
    _record(token, action="token.issued", actor=actor)
    return plaintext


def _stream(token: ApiToken) -> str:
    return organization_stream(token.organization) if token.organization else SOVEREIGN_STREAM


def _record(token: ApiToken, *, action: str, actor: User | str) -> None:
    append_audit(
        stream=_stream(token),
        actor=actor,
        action=action,
        target=f"token:{token.uuid}",
        detail={"owner": f"user:{token.user.uuid}", "scopes": token.scopes, "env_type": token.env_type},
    )
