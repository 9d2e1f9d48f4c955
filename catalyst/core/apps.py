from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    name = "catalyst.core"
    label = "core"
    verbose_name = _("Platform")

    def ready(self) -> None:
        """Load what registers itself: consumers, periodic tasks, projectors, live views, invariants, Plans, debts."""
        autodiscover_modules("tasks", "projections", "selectors.invariants", "selectors.environment_capacity")
        autodiscover_modules("selectors.obligations")
