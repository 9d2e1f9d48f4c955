"""The base of every API view."""

from datetime import UTC
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from rest_framework.parsers import BaseParser
from rest_framework.views import APIView

from catalyst.core.http.parsers import BoundedJSONParser


class ApiView(APIView):
    """An API view: it declares the permission of each method, and takes JSON of bounded size.

    ``required_permissions`` maps a method to a name of the permissions table, ``public`` or ``signed-in``.
    """

    required_permissions: ClassVar[dict[str, str]] = {}
    parser_classes: ClassVar[list[type[BaseParser]]] = [BoundedJSONParser]  # type: ignore[misc]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer in UTC, whatever zone the Sovereign's pages show."""
        with timezone.override(UTC):
            return super().dispatch(request, *args, **kwargs)
