"""The JSON API, composed of the apps' own routes."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("", include("tenancy.api.urls")),
    path("", include("marketplace.api.urls")),
    path("", include("billing.api.urls")),
]
