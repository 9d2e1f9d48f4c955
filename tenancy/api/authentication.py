"""Who calls the API: a bearer token, checked with one query."""

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from tenancy.models import ApiToken, User
from tenancy.services.tokens import hash_token

_LAST_USED_EVERY = timedelta(minutes=1)


def find_token(plaintext: str) -> ApiToken | None:
    """Return the live token with its owner and Organization, or None: unknown, revoked, expired, owner inactive."""
    tokens = ApiToken.objects.live().filter(user__is_active=True).select_related("user", "organization")
    return tokens.filter(token_hash=hash_token(plaintext)).first()


def read_bearer(header: bytes) -> str | None:
    """Return the token of an ``Authorization`` header; None when the header is of another kind."""
    kind, _space, plaintext = header.partition(b" ")
    if kind.lower() != b"bearer":
        return None
    return plaintext.strip().decode("ascii", errors="replace")


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``; ``request.auth`` is the ApiToken."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        plaintext = read_bearer(get_authorization_header(request))
        if plaintext is None:
            return None
        token = find_token(plaintext)
        if token is None:
            raise AuthenticationFailed(_("This token is not valid."))
        _note_use(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="catalyst"'


def token_of(request: Request) -> ApiToken | None:
    """Return the token of a request; None when a session or nobody made it."""
    auth: Any = request.auth
    return auth if isinstance(auth, ApiToken) else None


def _note_use(token: ApiToken) -> None:
    now = timezone.now()
    if token.last_used_at is not None and token.last_used_at > now - _LAST_USED_EVERY:
        return
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - _LAST_USED_EVERY)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
