"""The language of pages whose address does not name one: console, orders, administration."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation

#: Everything else is public and carries its language in the path; there Django's LocaleMiddleware decides.
PERSONAL_PATHS = ("/console/", "/orders/", "/admin/")


def personal_language(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Use the person's saved language, else the one this browser chose, on pages that belong to a person."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(PERSONAL_PATHS):
            chosen = getattr(request.user, "language", "") or request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
            if chosen in dict(settings.LANGUAGES):
                translation.activate(chosen)
                request.LANGUAGE_CODE = chosen
        return get_response(request)

    return middleware
