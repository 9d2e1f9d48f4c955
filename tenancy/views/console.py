"""The console's front door: on to the one Organization, or a choice of several."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tenancy.models import User
from tenancy.selectors.organizations import organizations_of


@never_cache
@require_safe
@login_required
def console(request: HttpRequest) -> HttpResponse:
    """Open the console of the person's Organization; without one, say how to get one."""
    mine = list(organizations_of(cast(User, request.user)).order_by("name")[:200])
    if len(mine) == 1:
        return redirect("console-applications", slug=mine[0].slug)
    return render(request, "console/choose.html", {"organizations": mine})
