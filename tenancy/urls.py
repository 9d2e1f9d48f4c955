"""Sign-in, invitations and preferences.

``urlpatterns`` carry the language in the path (inside ``i18n_patterns``), ``plain_urlpatterns`` do not. The names that
begin with ``account_`` are those under which the sign-in library looks for its pages; its other pages are not served.
"""

from django.urls import path

from tenancy.views import chosen_organization, console, join, preferences, sign_in

urlpatterns = [
    path("account/sign-in/", sign_in.sign_in, name="account_login"),
    path("account/sign-in/code/", sign_in.confirm_code, name="account_confirm_login_code"),
    path("account/sign-out/", sign_in.sign_out, name="account_logout"),
    path("account/inactive/", sign_in.inactive, name="account_inactive"),
]

plain_urlpatterns = [
    path("console/", console.console, name="console"),
    path("join/<slug:secret>/", join.join, name="join"),
    path("preferences/theme/", preferences.set_theme, name="set-theme"),
    path("preferences/language/", preferences.set_language, name="set-language"),
    path("preferences/organization/", chosen_organization.choose_organization, name="choose-organization"),
]
