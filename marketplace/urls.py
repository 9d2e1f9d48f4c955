"""The marketplace. Its paths carry the language: the project includes them inside ``i18n_patterns``."""

from django.urls import path

from marketplace.views import blueprint, bundle, git, git_platform, git_push, grid, help, plans, webhooks

urlpatterns = [
    path("", grid.marketplace, name="home"),
    path("apps/<slug:slug>/", blueprint.blueprint_page, name="blueprint"),
    path("bundles/<slug:slug>/", bundle.bundle_page, name="bundle"),
    path("plans/", plans.plans_page, name="plans"),
    path("help/", help.help_page, name="help"),
]

#: Called by machines: no language in the path, no session.
machine_urlpatterns = [
    path("webhooks/flux/<uuid:environment_uuid>/", webhooks.flux_webhook, name="flux-webhook"),
    path("webhooks/git/<uuid:environment_uuid>/", webhooks.git_webhook, name="git-webhook"),
    path("git/system/catalyst-config.git/<path:path_info>", git_platform.platform_repository, name="git-platform"),
    path(
        "git/<slug:organization>/shared-blueprints.git/<path:path_info>",
        git_push.shared_blueprints,
        name="git-shared-blueprints",
    ),
    path(
        "git/catalog-sovereign/<slug:blueprint>.git/<path:path_info>",
        git_push.sovereign_blueprint,
        name="git-sovereign-blueprint",
    ),
    path("git/<slug:organization>/<slug:environment>.git/<path:path_info>", git.git_repository, name="git"),
]
