from django.urls import path

from tenancy.api import views

urlpatterns = [
    path("organizations/", views.OrganizationListView.as_view()),
    path("organizations/<slug:slug>/", views.OrganizationView.as_view()),
    path("organizations/<slug:slug>/environments/", views.EnvironmentListView.as_view()),
    path("organizations/<slug:slug>/members/", views.MemberListView.as_view()),
]
