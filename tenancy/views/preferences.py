"""How a reader wants to see pages: theme and language."""

from http import HTTPStatus

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from catalyst.core.templatetags.ui import THEMES
from tenancy.services.choose_language import choose_language

_YEAR = 365 * 24 * 60 * 60


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep the theme in a cookie, from which the next page is drawn: nothing flashes."""
    theme = request.POST.get("theme", "")
    if theme not in THEMES:
        return HttpResponse(status=HTTPStatus.BAD_REQUEST)
    return _remember(_back(request), "theme", theme)


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Keep the language of the pages whose address does not carry one, for this browser and for the person."""
    language = request.POST.get("language", "")
    if language not in dict(settings.LANGUAGES):
        return HttpResponse(status=HTTPStatus.BAD_REQUEST)
    if request.user.is_authenticated:
        choose_language(user=request.user, language=language)
    return _remember(_back(request), settings.LANGUAGE_COOKIE_NAME, language)


def _back(request: HttpRequest) -> HttpResponseRedirect:
    target = request.POST.get("next", "")
    return HttpResponseRedirect(target if get_adapter().is_safe_url(target) else "/", status=HTTPStatus.SEE_OTHER)


def _remember(response: HttpResponse, name: str, value: str) -> HttpResponse:
    response.set_cookie(
        name, value, max_age=_YEAR, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax"
    )
    return response
