from importlib import import_module

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "tenancy"

    def ready(self) -> None:
        """Register the start-up check of the API's permissions; it needs the models, so not earlier."""
        import_module("tenancy.api.routes")
