"""Where to find help: the same place on every page, error pages included."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """Say whom to ask and what to have at hand."""
    return render(request, "marketplace/help.html")
