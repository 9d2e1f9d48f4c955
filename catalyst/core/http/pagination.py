"""Lists that grow without end: a cursor, no counting."""

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Answer ``{"next", "previous", "results"}``, newest first."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
