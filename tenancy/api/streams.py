"""Who may open a live stream: the same people, found by the same queries, as the API's pages."""

from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError, NotFound
from catalyst.core.http.streams import StreamAccess, StreamQuery
from tenancy.api.authentication import find_token, read_bearer
from tenancy.models import ApiToken, User
from tenancy.selectors.organizations import organizations_of, visible_env_types
from tenancy.selectors.permissions import token_allows
from tenancy.services.audit import organization_stream

_PERMISSION = "organization.view"


class NotSignedIn(DomainError):
    code = "not_authenticated"
    status = HTTPStatus.UNAUTHORIZED


def authorize_stream(query: StreamQuery, slug: str) -> StreamAccess:
    """Return what the caller may see of one Organization's events.

    :raises NotSignedIn: neither a session nor a live token.
    :raises NotFound: no such Organization, or not the caller's: both look the same.
    """
    user, token = _caller(query)
    organizations = organizations_of(user).filter(slug=slug)
    if token is not None and token.organization_id is not None:
        organizations = organizations.filter(pk=token.organization_id)
    organization = organizations.first()
    if organization is None or (token is not None and not token_allows(token, _PERMISSION)):
        raise NotFound(_("Not found."))
    env_types = visible_env_types(user, organization)
    if token is not None and token.env_type:
        env_types = frozenset({token.env_type}) & (env_types if env_types is not None else {token.env_type})
    return StreamAccess(
        stream=organization_stream(organization), person=user.pk, language=user.language, env_types=env_types
    )


def _caller(query: StreamQuery) -> tuple[User, ApiToken | None]:
    plaintext = read_bearer(query.authorization)
    if plaintext is not None:
        token = find_token(plaintext)
        if token is None:
            raise NotSignedIn(_("This token is not valid."))
        return token.user, token
    user = _session_user(query.cookies)
    if user is None:
        raise NotSignedIn(_("Sign in first."))
    return user, None


def _session_user(cookies: str) -> User | None:
    try:
        cookie = SimpleCookie(cookies).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    if cookie is None:
        return None
    # Django's own check of a session (its user, its hash, its backend) asks for a request.
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(cookie.value)
    user = get_user(request)
    return user if isinstance(user, User) and user.is_active else None
