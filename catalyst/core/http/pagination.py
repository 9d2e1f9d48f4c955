"""Lists that grow without end: a cursor, no counting."""

from functools import cache
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Answer ``{"next", "previous", "results"}``, newest first."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200


@cache
def page_of(output: type[serializers.BaseSerializer[Any]]) -> serializers.Serializer[Any]:
    """Return the shape of one page of ``output``, for the published schema."""
    name = output.__name__.removesuffix("Output")
    return inline_serializer(
        f"{name}Page",
        {
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": output(many=True),
        },
    )
