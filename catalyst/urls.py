"""Every address of a Sovereign, composed of the apps' own routes."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from billing.urls import personal_urlpatterns as personal_pages
from billing.urls import webhook_urlpatterns as billing_webhooks
from catalyst.core.http.admin_login import admin_login
from catalyst.core.http.api_portal import api_portal
from catalyst.core.http.health import healthz, readyz
from catalyst.core.http.style_guide import error_page, style_guide
from marketplace.urls import machine_urlpatterns as marketplace_machines
from tenancy.urls import plain_urlpatterns as preferences

handler400 = "catalyst.core.http.errors.bad_request"
handler403 = "catalyst.core.http.errors.permission_denied"
handler404 = "catalyst.core.http.errors.page_not_found"
handler500 = "catalyst.core.http.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("api/v1/", include("catalyst.api")),
    path("api/docs/", api_portal, name="api-portal"),
    path("admin/login/", admin_login),
    path("admin/", admin.site.urls),
    *preferences,
    *personal_pages,
    *billing_webhooks,
    *marketplace_machines,
]
# What people read carries the language: English without a prefix, Arabic below /ar/.
urlpatterns += i18n_patterns(
    path("ui/", style_guide, name="style-guide"),
    path("ui/errors/<slug:page>/", error_page, name="style-guide-error"),
    path("", include("tenancy.urls")),
    path("", include("marketplace.urls")),
    path("", include("billing.urls")),
    prefix_default_language=False,
)
