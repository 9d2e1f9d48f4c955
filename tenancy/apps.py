from importlib import import_module

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "tenancy"

    def ready(self) -> None:
        """Register the start-up check of the API and its sign-in scheme; they need the models, so not earlier."""
        import_module("tenancy.api.routes")
        import_module("tenancy.api.schema")
