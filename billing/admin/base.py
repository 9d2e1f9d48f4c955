"""What the money pages of the admin share: amounts as people read them, and a question before each act."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import get_language, gettext_lazy

from catalyst.core.money import Money
from tenancy.admin import GuardedAdmin

_SHOWN_OBJECTS = 20


class MoneyAdmin(GuardedAdmin):
    """Base of rows that belong to a billing account; nobody adds, changes or deletes them here.

    Its lists name ``organization__organization`` in ``list_select_related``.
    """

    @admin.display(description=gettext_lazy("Organization"), ordering="organization__organization__slug")
    def organization_slug(self, row: Any) -> str:
        return str(row.organization.organization.slug)


def shown_amount(amount_minor: int, currency: str) -> str:
    return Money(amount_minor, currency).format(get_language() or "en")


def ask_first(
    model_admin: GuardedAdmin, request: HttpRequest, queryset: QuerySet[Any], *, action: str, question: str
) -> TemplateResponse | None:
    """Return the page that asks for confirmation, or None when the person has confirmed."""
    if "confirmed" in request.POST:
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question,
        "opts": model_admin.model._meta,
        "count": queryset.count(),
        "objects": queryset[:_SHOWN_OBJECTS],
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
        "select_across": request.POST.get("select_across", "0"),
        "action": action,
    }
    return TemplateResponse(request, "admin/billing/confirm.html", context)
