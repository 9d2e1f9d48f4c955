"""The start-up check of the API: every method of every route names its permission."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from tenancy.api.permissions import PUBLIC, SIGNED_IN, declared_permission
from tenancy.selectors.permissions import ORGANIZATION_PERMISSIONS, SOVEREIGN_PERMISSIONS

_METHODS = ("get", "post", "put", "patch", "delete")
_KNOWN = {PUBLIC, SIGNED_IN} | ORGANIZATION_PERMISSIONS.keys() | SOVEREIGN_PERMISSIONS.keys()


def api_routes(
    patterns: Sequence[URLPattern | URLResolver] | None = None, prefix: str = ""
) -> Iterator[tuple[str, type[APIView]]]:
    """Yield every API route of the site with its view class."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from api_routes(pattern.url_patterns, route)
            continue
        view_class = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
        if isinstance(view_class, type) and issubclass(view_class, APIView):
            yield route, view_class


def api_methods() -> Iterator[tuple[str, type[APIView], str, str | None]]:
    """Yield route, view class, method and declared permission of everything that the API answers."""
    for route, view_class in api_routes():
        for method in _METHODS:
            if hasattr(view_class, method):
                yield route, view_class, method.upper(), declared_permission(view_class, method.upper())


@register(Tags.security)
def check_declared_permissions(**kwargs: Any) -> list[CheckMessage]:
    """Refuse to start with an API method that declares no permission, or one that is not in the table."""
    return [
        Error(
            f"{method} {route} declares no permission of the table.",
            hint=f"Name it in {view_class.__qualname__}.required_permissions.",
            obj=view_class,
            id="catalyst.E001",
        )
        for route, view_class, method, permission in api_methods()
        if permission not in _KNOWN
    ]
