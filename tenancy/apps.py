from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TenancyConfig(AppConfig):
    name = "tenancy"
    verbose_name = _("Tenancy")

    def ready(self) -> None:
        """Register the start-up check of the API and its sign-in scheme; they need the models, so not earlier."""
        import_module("tenancy.api.routes")
        import_module("tenancy.api.schema")
