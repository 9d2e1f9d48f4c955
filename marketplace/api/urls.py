from django.urls import path

from marketplace.api import views

urlpatterns = [
    path("blueprints/", views.BlueprintListView.as_view(), name="api-blueprints"),
    path("blueprints/<str:name>/", views.BlueprintView.as_view(), name="api-blueprint"),
    path("plans/", views.PlanListView.as_view(), name="api-plans"),
    path("addons/", views.AddOnListView.as_view(), name="api-addons"),
    path("bundles/", views.BundleListView.as_view(), name="api-bundles"),
    path("industries/", views.IndustryListView.as_view(), name="api-industries"),
]
