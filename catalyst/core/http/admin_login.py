"""The admin has no password form: staff sign in like everybody, with an e-mailed code."""

from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
def admin_login(request: HttpRequest) -> HttpResponse:
    """Send the visitor to the sign-in page and back to where they wanted to go."""
    wanted = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        wanted = "/admin/"
    user = request.user
    if user.is_authenticated and not (user.is_active and user.is_staff):
        # Signed in and not staff: the sign-in page would send them straight back here.
        raise PermissionDenied
    return redirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': wanted})}")
