"""A question before an act that moves money: what it does to each row, and why it is done."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from tenancy.admin import GuardedAdmin


def ask_reason(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    queryset: QuerySet[Any],
    *,
    action: str,
    question: str,
    effects: Iterable[str],
) -> TemplateResponse | str:
    """Return the reason when the person has confirmed with one, else the page that asks for it.

    ``effects`` are whole sentences, one for each thing that will happen.
    """
    reason = request.POST.get("reason", "").strip()
    if "confirmed" in request.POST and reason:
        return reason
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question,
        "opts": model_admin.model._meta,
        "effects": list(effects),
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
        "select_across": request.POST.get("select_across", "0"),
        "action": action,
        "error": gettext("Write down the reason, in 500 characters at most.") if "confirmed" in request.POST else "",
    }
    status = 422 if context["error"] else 200
    return TemplateResponse(request, "admin/billing/reason.html", context, status=status)
