"""Page numbers with a count: the catalogue is small and readers like to jump."""

from rest_framework.pagination import PageNumberPagination


class CataloguePagination(PageNumberPagination):
    page_size = 24
    page_size_query_param = "page_size"
    max_page_size = 100
