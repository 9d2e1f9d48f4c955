"""The admin site of the Sovereign's staff: stock Django admin with our names and, in production, no password form."""

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _


class CatalystAdminConfig(AdminConfig):
    default_site = "catalyst.admin.CatalystAdminSite"


class CatalystAdminSite(AdminSite):
    site_header = _("Catalyst administration")
    site_title = _("Catalyst administration")
    index_title = _("Work lists")
    login_template = None
