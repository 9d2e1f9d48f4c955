from django.urls import path

from tenancy.api import audit, domains, invitations, members, tokens, views

#: One Organization, which can also be deleted, is served by the app that knows what that takes.
urlpatterns = [
    path("organizations/", views.OrganizationListView.as_view()),
    path("organizations/<slug:slug>/environments/", views.EnvironmentListView.as_view()),
    path("organizations/<slug:slug>/members/", views.MemberListView.as_view()),
    path("organizations/<slug:slug>/members/<uuid:membership_id>/", members.MemberView.as_view()),
    path("organizations/<slug:slug>/leave/", members.LeaveView.as_view()),
    path("organizations/<slug:slug>/invitations/", invitations.InvitationListView.as_view()),
    path("organizations/<slug:slug>/invitations/<uuid:invitation_id>/", invitations.InvitationView.as_view()),
    path("organizations/<slug:slug>/invitations/<uuid:invitation_id>/resend/", invitations.ResendView.as_view()),
    path("organizations/<slug:slug>/tokens/", tokens.OrganizationTokenListView.as_view()),
    path("organizations/<slug:slug>/tokens/<uuid:token_id>/", tokens.OrganizationTokenView.as_view()),
    path("invitations/accept/", invitations.AcceptView.as_view()),
    path("tokens/", tokens.TokenListView.as_view()),
    path("tokens/<uuid:token_id>/", tokens.TokenView.as_view()),
    path("organizations/<slug:slug>/audit/", audit.AuditExportView.as_view(), name="api-audit"),
    path("organizations/<slug:slug>/domains/", domains.DomainListView.as_view()),
    path("organizations/<slug:slug>/domains/<uuid:domain>/", domains.DomainView.as_view()),
    path("organizations/<slug:slug>/domains/<uuid:domain>/check/", domains.DomainCheckView.as_view()),
]
