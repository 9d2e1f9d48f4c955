"""API tokens: issued once in the clear, kept as a hash, revoked for good."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

from django.db import transaction
from django.utils.translation import gettext as _

from catalyst.core import names
from catalyst.core.errors import DomainError
from tenancy.models import ApiToken, Membership, Organization, User
from tenancy.selectors.permissions import ORGANIZATION_PERMISSIONS, SOVEREIGN_PERMISSIONS
from tenancy.services.audit import SOVEREIGN_STREAM, append_audit, organization_stream

PREFIX = "cat_"
_RANDOM_BYTES = 30  # 240 bits, 40 url-safe characters


class ScopeUnknown(DomainError):
    code = "scope_unknown"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class NotAMember(DomainError):
    code = "not_a_member"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def hash_token(plaintext: str) -> bytes:
    """Return the form in which a token is stored and looked up; 240 random bits need no slow hash."""
    return hashlib.sha256(plaintext.encode()).digest()


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
    """Make a token and return it with its text, which nobody sees again.

    Its rights are its scopes that the owner also holds at the moment of use; no scopes means all of the owner's.

    :raises ScopeUnknown: a scope is no permission, or the Environment type does not exist.
    :raises NotAMember: the owner does not belong to the Organization.
    """
    _check_scopes(scopes, env_type)
    if organization and not Membership.objects.live().filter(user=user, organization=organization).exists():
        raise NotAMember(_("The token's owner does not belong to this Organization."))
    plaintext = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    token = ApiToken.objects.create(
        token_hash=hash_token(plaintext),
        hint=f"{PREFIX}…{plaintext[-4:]}",
        name=name,
        user=user,
        organization=organization,
        env_type=env_type,
        scopes=list(scopes),
        created_at=now,
        expires_at=expires_at,
    )
    _record(token, action="token.issued", actor=actor)
    return token, plaintext


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


def _check_scopes(scopes: Sequence[str], env_type: str) -> None:
    unknown = sorted(set(scopes) - ORGANIZATION_PERMISSIONS.keys() - SOVEREIGN_PERMISSIONS.keys())
    if unknown:
        raise ScopeUnknown(_("Unknown scope: %(scope)s.") % {"scope": unknown[0]})
    if env_type and env_type not in names.ENVIRONMENT_TYPES:
        raise ScopeUnknown(_("There is no such Environment type."))


def _record(token: ApiToken, *, action: str, actor: User | str) -> None:
    append_audit(
        stream=organization_stream(token.organization) if token.organization else SOVEREIGN_STREAM,
        actor=actor,
        action=action,
        target=f"token:{token.uuid}",
        detail={"owner": f"user:{token.user.uuid}", "scopes": token.scopes, "env_type": token.env_type},
    )
