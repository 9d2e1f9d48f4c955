"""The marketplace. Its paths carry the language: the project includes them inside ``i18n_patterns``."""

from django.urls import path

from marketplace.views import blueprint, bundle, grid, help, plans

urlpatterns = [
    path("", grid.marketplace, name="home"),
    path("apps/<slug:slug>/", blueprint.blueprint_page, name="blueprint"),
    path("bundles/<slug:slug>/", bundle.bundle_page, name="bundle"),
    path("plans/", plans.plans_page, name="plans"),
    path("help/", help.help_page, name="help"),
]
