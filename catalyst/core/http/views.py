"""The base of every API view."""

from typing import ClassVar

from rest_framework.parsers import BaseParser
from rest_framework.views import APIView

from catalyst.core.http.parsers import BoundedJSONParser


class ApiView(APIView):
    """An API view: it declares the permission of each method, and takes JSON of bounded size.

    ``required_permissions`` maps a method to a name of the permissions table, ``public`` or ``signed-in``.
    """

    required_permissions: ClassVar[dict[str, str]] = {}
    parser_classes: ClassVar[list[type[BaseParser]]] = [BoundedJSONParser]  # type: ignore[misc]
