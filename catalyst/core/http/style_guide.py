"""The living style guide: every piece that pages are made of, drawn by the very templates that pages use.

Shown to staff, and to everybody on a development machine (``DEBUG``); for all others there is no such page.
Source: surfaces.md §9 and §10 of the design.
"""

from typing import Any

from django import forms
from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from catalyst.core.contrast import judge_pairs, read_tokens
from catalyst.core.status import STATUSES

ERROR_PAGES = ("400", "403", "403_csrf", "404", "410", "429", "500", "503")
_TOKENS = settings.ROOT / "static" / "css" / "tokens.css"


class SampleForm(forms.Form):
    """One field of each sort, one of them filled in wrongly."""

    name = forms.CharField(label=_("Name of the organization"))
    email = forms.EmailField(label=_("E-mail address"), widget=forms.EmailInput(attrs={"dir": "ltr"}))
    note = forms.CharField(label=_("Note"), required=False, widget=forms.Textarea(attrs={"rows": 2}))
    plan = forms.ChoiceField(label=_("Plan"), choices=[("s", "S"), ("m", "M")])


@require_safe
def style_guide(request: HttpRequest) -> HttpResponse:
    """Show the tokens with their contrast and every component in each of its states."""
    _refuse_strangers(request)
    css = _TOKENS.read_text()
    return render(request, "style_guide.html", _context() | {"tokens": read_tokens(css), "pairs": judge_pairs(css)})


@require_safe
def error_page(request: HttpRequest, page: str) -> HttpResponse:
    """Show one of the error pages as a reader sees it, though nothing has failed."""
    _refuse_strangers(request)
    if page not in ERROR_PAGES:
        raise Http404
    return render(request, f"{page}.html", {"reference": "7F3K"})


def _refuse_strangers(request: HttpRequest) -> None:
    user = request.user
    if not (settings.DEBUG or (user.is_authenticated and user.is_active and user.is_staff)):
        raise Http404


def _context() -> dict[str, Any]:
    return {
        "form": SampleForm({"name": "", "email": "owner", "plan": "m"}),
        "statuses": STATUSES,
        "steps": [
            {"key": "plan", "label": _("Plan"), "url": "#stepper"},
            {"key": "apps", "label": _("Apps"), "url": ""},
            {"key": "review", "label": _("Review"), "url": ""},
        ],
        "numbers": Paginator(range(30), 10).page(2),
        "now": timezone.now(),
        "error_pages": ERROR_PAGES,
        # Nothing listens on this page: it loads no script for streams.
        "stream": {"slug": "sample"},
    }
