"""What the money pages of the admin share: amounts as people read them."""

from typing import Any

from django.contrib import admin
from django.utils.translation import get_language, gettext_lazy

from catalyst.core.money import Money
from tenancy.admin import GuardedAdmin


class MoneyAdmin(GuardedAdmin):
    """Base of rows that belong to a billing account; nobody adds, changes or deletes them here.

    Its lists name ``organization__organization`` in ``list_select_related``.
    """

    @admin.display(description=gettext_lazy("Organization"), ordering="organization__organization__slug")
    def organization_slug(self, row: Any) -> str:
        return str(row.organization.organization.slug)


def shown_amount(amount_minor: int, currency: str) -> str:
    return Money(amount_minor, currency).format(get_language() or "en")
