"""Who calls the API: a bearer token, checked with one query."""

from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from catalyst.core.database import fetch_one
from catalyst.core.rows import Rows
from tenancy.models import ApiToken, Organization, User
from tenancy.services.tokens import hash_token

_LAST_USED_EVERY = timedelta(minutes=1)
_TOKEN, _USER, _ORGANIZATION = Rows(ApiToken), Rows(User), Rows(Organization)

# Plain SQL: every request of the API begins here, and the ORM took most of its time to build this query.
_LIVE = """
  t.token_hash = %(hash)s AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now()) AND u.is_active
"""
_FIND = f"""
SELECT {_TOKEN.columns("t")}, {_USER.columns("u")}, {_ORGANIZATION.columns("o")}
  FROM tenancy_apitoken AS t
  JOIN tenancy_user AS u ON u.id = t.user_id
  LEFT JOIN tenancy_organization AS o ON o.id = t.organization_id
 WHERE {_LIVE}
"""  # noqa: S608  (column names of our own models)
# Noting the use in the same statement saves a round trip and, once a minute for each token, a transaction. That the
# token was used is no money: its commit waits for no disk, and a crash of Postgres may forget the last moments of it.
_FIND_AND_NOTE = f"""
WITH used AS (
  UPDATE tenancy_apitoken AS t SET last_used_at = %(now)s
    FROM tenancy_user AS u, set_config('synchronous_commit',
      CASE WHEN %(alone)s THEN 'off' ELSE current_setting('synchronous_commit') END, true)
   WHERE u.id = t.user_id AND (t.last_used_at IS NULL OR t.last_used_at < %(stale)s) AND {_LIVE}
)
{_FIND}
"""  # noqa: S608


def find_token(plaintext: str) -> ApiToken | None:
    """Return the live token with its owner and Organization, or None: unknown, revoked, expired, owner inactive."""
    return _read_token(fetch_one(_FIND, {"hash": hash_token(plaintext)}, prepared=True))


def use_token(plaintext: str) -> ApiToken | None:
    """Do as ``find_token``, and note the moment of use, to the minute."""
    now = timezone.now()
    parameters = {
        "hash": hash_token(plaintext),
        "now": now,
        "stale": now - _LAST_USED_EVERY,
        # The setting ends with its transaction; inside somebody else's it would loosen that one.
        "alone": not connection.in_atomic_block,
    }
    return _read_token(fetch_one(_FIND_AND_NOTE, parameters, prepared=True))


def _read_token(row: tuple[Any, ...] | None) -> ApiToken | None:
    if row is None:
        return None
    token = _TOKEN.read(row[: len(_TOKEN)])
    token.user = _USER.read(row[len(_TOKEN) : -len(_ORGANIZATION)])
    token.organization = _ORGANIZATION.read(row[-len(_ORGANIZATION) :]) if token.organization_id else None
    return token


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
        token = use_token(plaintext)
        if token is None:
            raise AuthenticationFailed(_("This token is not valid."))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="catalyst"'


def token_of(request: Request) -> ApiToken | None:
    """Return the token of a request; None when a session or nobody made it."""
    auth: Any = request.auth
    return auth if isinstance(auth, ApiToken) else None
