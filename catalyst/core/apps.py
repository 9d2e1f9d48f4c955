from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CoreConfig(AppConfig):
    name = "catalyst.core"
    label = "core"
    verbose_name = "Platform"

    def ready(self) -> None:
        """Load what registers itself: consumers and periodic tasks, projectors, live views, invariants, Plans."""
        autodiscover_modules("tasks", "projections", "selectors.invariants", "selectors.environment_capacity")
