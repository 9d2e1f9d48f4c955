from django.urls import include, path

from marketplace.api import applications, changes, views

_environment = [
    path("applications/", applications.ApplicationListView.as_view()),
    path("applications/<str:application>/", applications.ApplicationView.as_view()),
    path("changes/", changes.ChangeListView.as_view()),
    path("changes/<uuid:change_id>/", changes.ChangeView.as_view()),
]

urlpatterns = [
    path("blueprints/", views.BlueprintListView.as_view(), name="api-blueprints"),
    path("blueprints/<str:name>/", views.BlueprintView.as_view(), name="api-blueprint"),
    path("plans/", views.PlanListView.as_view(), name="api-plans"),
    path("addons/", views.AddOnListView.as_view(), name="api-addons"),
    path("bundles/", views.BundleListView.as_view(), name="api-bundles"),
    path("industries/", views.IndustryListView.as_view(), name="api-industries"),
    path("organizations/<slug:slug>/environments/<str:env_type>/", include(_environment)),
]
