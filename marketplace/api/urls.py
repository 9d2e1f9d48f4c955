from django.urls import include, path

from marketplace.api import applications, changes, organization_blueprints, upgrades, versions, views

_environment = [
    path("applications/", applications.ApplicationListView.as_view()),
    path("applications/<str:application>/", applications.ApplicationView.as_view()),
    path("applications/<str:application>/why/", upgrades.WhyView.as_view()),
    path("applications/<str:application>/configuration/", upgrades.ConfigurationView.as_view()),
    path("upgrades/", upgrades.UpgradeListView.as_view()),
    path("upgrades/preview/", upgrades.UpgradePreviewView.as_view()),
    path("changes/", changes.ChangeListView.as_view()),
    path("changes/<uuid:change_id>/", changes.ChangeView.as_view()),
]

_version = [
    path("retire/", versions.RetireView.as_view()),
    path("restore/", versions.RestoreView.as_view()),
    path("yank/", versions.YankView.as_view()),
]

urlpatterns = [
    path("blueprints/", views.BlueprintListView.as_view(), name="api-blueprints"),
    path("blueprints/<str:name>/", views.BlueprintView.as_view(), name="api-blueprint"),
    path("plans/", views.PlanListView.as_view(), name="api-plans"),
    path("addons/", views.AddOnListView.as_view(), name="api-addons"),
    path("bundles/", views.BundleListView.as_view(), name="api-bundles"),
    path("industries/", views.IndustryListView.as_view(), name="api-industries"),
    path("organizations/<slug:slug>/blueprints/", organization_blueprints.MemberBlueprintListView.as_view()),
    path("organizations/<slug:slug>/blueprints/<str:name>/", organization_blueprints.MemberBlueprintView.as_view()),
    path("organizations/<slug:slug>/blueprints/<str:name>/versions/", versions.VersionListView.as_view()),
    path("organizations/<slug:slug>/blueprints/<str:name>/versions/<str:version>/", include(_version)),
    path("organizations/<slug:slug>/environments/<str:env_type>/", include(_environment)),
]
