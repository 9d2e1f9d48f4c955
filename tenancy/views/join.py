"""The page that the link of an invitation opens. Opening it uses nothing up: programs that scan mail do so, too."""

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from catalyst.core.errors import DomainError
from tenancy.services.invitation_answers import accept_invitation, read_invitation


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """Ask whether the person wants to join, and let them; without a session only ask to sign in.

    To a visitor every link looks alike, the wrong ones among them.
    """
    here = urlencode({"next": reverse("join", args=[secret])})
    context = {"sign_in": f"{reverse('account_login')}?{here}"}
    if not request.user.is_authenticated:
        return render(request, "console/team_join.html", context)
    user, now = request.user, timezone.now()
    try:
        if request.method == "POST":
            membership = accept_invitation(secret=secret, user=user, now=now)
            organization = membership.organization
            messages.success(request, _("Welcome to %(organization)s.") % {"organization": organization.name})
            address = reverse("console-team", args=[organization.slug])
            return HttpResponseRedirect(address, status=HTTPStatus.SEE_OTHER)
        invitation = read_invitation(secret=secret, user=user, now=now)
    except DomainError as error:
        return render(request, "console/team_join.html", context | {"refusal": error}, status=error.status)
    return render(request, "console/team_join.html", context | {"invitation": invitation})
