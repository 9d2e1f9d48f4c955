"""A question before an act that moves money: what it does to each row, and why it is done."""

from collections.abc import Iterable

from django.contrib.admin import helpers
from django.http import HttpRequest
from django.template.response import TemplateResponse

from billing.services.reasons import ReasonRequired, check_reason
from tenancy.admin import GuardedAdmin


def ask_reason(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    *,
    action: str,
    question: str,
    effects: Iterable[str],
) -> TemplateResponse | str:
    """Return the reason when the person has confirmed with one, else the page that asks for it.

    ``effects`` are whole sentences, one for each thing that will happen.
    """
    error = ""
    if "confirmed" in request.POST:
        try:
            return check_reason(request.POST.get("reason", ""))
        except ReasonRequired as refused:
            error = refused.message
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question,
        "opts": model_admin.model._meta,
        "effects": list(effects),
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
        "select_across": request.POST.get("select_across", "0"),
        "action": action,
        "error": error,
    }
    return TemplateResponse(request, "admin/billing/reason.html", context, status=422 if error else 200)
