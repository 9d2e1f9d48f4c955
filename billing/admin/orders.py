"""Orders and checkouts with the history of the saga, and a second look at a payment."""

from typing import cast

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from billing.admin.base import MoneyAdmin, shown_amount
from billing.admin.refunds import cancel_and_refund
from billing.models import Checkout, CheckoutEvent, Order, OrderLine, PspCall
from billing.services.checkout_recheck import recheck_checkout
from catalyst.core.errors import DomainError
from tenancy.admin import ReadOnlyInline, ask_first
from tenancy.models import User

_VIEW = "billing.view_all"
_DASHBOARD = "https://dashboard.stripe.com"


class OrderLineInline(ReadOnlyInline):
    model = OrderLine
    fields = ("position", "kind", "reference", "title", "quantity", "unit", "total")
    readonly_fields = ("unit", "total")
    ordering = ("position",)

    @admin.display(description=_("unit price"))
    def unit(self, line: OrderLine) -> str:
        return shown_amount(line.unit_minor, line.order.currency_id)

    @admin.display(description=_("total"))
    def total(self, line: OrderLine) -> str:
        return shown_amount(line.total_minor, line.order.currency_id)


class CheckoutEventInline(ReadOnlyInline):
    model = CheckoutEvent
    fields = ("seq", "from_state", "to_state", "actor", "reason", "at")
    ordering = ("seq",)


class PspCallInline(ReadOnlyInline):
    model = PspCall
    fields = ("op", "state", "object_id", "reply", "first_sent_at", "resolved_at")
    readonly_fields = ("reply",)
    ordering = ("id",)

    @admin.display(description=gettext_lazy("reply (HTTP status)"), empty_value="–")
    def reply(self, call: PspCall) -> int | None:
        return call.http_status


@admin.register(Order)
class OrderAdmin(MoneyAdmin):
    view_permission = _VIEW
    list_display = ("number", "organization_slug", "state", "total", "credit", "card", "buyer", "created_at")
    list_select_related = ("organization__organization", "buyer")
    list_filter = ("state",)
    search_fields = ("=number", "=organization__organization__slug", "=buyer__email")
    ordering = ("-id",)
    fields = (
        "number",
        "organization_slug",
        "state",
        "total",
        "credit",
        "card",
        "monthly",
        "buyer",
        "checkout",
        "created_at",
    )
    inlines = (OrderLineInline,)
    actions = ("cancel_and_refund",)

    def has_refund_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "refund.issue")

    @admin.action(description=gettext_lazy("Cancel and refund"), permissions=["refund"])
    def cancel_and_refund(self, request: HttpRequest, queryset: QuerySet[Order]) -> HttpResponse | None:
        return cancel_and_refund(self, request, queryset)

    @admin.display(description=_("total"), ordering="total_minor")
    def total(self, order: Order) -> str:
        return shown_amount(order.total_minor, order.currency_id)

    @admin.display(description=_("credit part"))
    def credit(self, order: Order) -> str:
        return shown_amount(order.credit_minor, order.currency_id)

    @admin.display(description=_("card part"))
    def card(self, order: Order) -> str:
        return shown_amount(order.card_minor, order.currency_id)

    @admin.display(description=_("then monthly"))
    def monthly(self, order: Order) -> str:
        return shown_amount(order.monthly_minor, order.currency_id)


@admin.register(Checkout)
class CheckoutAdmin(MoneyAdmin):
    view_permission = _VIEW
    list_display = ("order", "organization_slug", "env_type", "state", "charge", "created_at", "next_action_at")
    list_select_related = ("organization__organization", "order")
    list_filter = ("state",)
    search_fields = ("=order__number", "=organization__organization__slug", "=psp_session_id")
    ordering = ("-created_at",)
    fields = (
        "order",
        "organization_slug",
        "buyer",
        "env_type",
        "state",
        "total",
        "credit",
        "charge",
        "processor_session",
        "handed_over_at",
        "next_action_at",
        "last_error",
        "selection",
        "created_at",
        "updated_at",
    )
    inlines = (CheckoutEventInline, PspCallInline)
    actions = ("recheck_payment",)

    @admin.display(description=_("total"))
    def total(self, checkout: Checkout) -> str:
        return shown_amount(checkout.total_minor, checkout.currency_id)

    @admin.display(description=_("credit part"))
    def credit(self, checkout: Checkout) -> str:
        return shown_amount(checkout.credit_minor, checkout.currency_id)

    @admin.display(description=_("card part"))
    def charge(self, checkout: Checkout) -> str:
        return shown_amount(checkout.charge_minor, checkout.currency_id)

    @admin.display(description=_("at the processor"))
    def processor_session(self, checkout: Checkout) -> str:
        """A link for what stands at Stripe; a stand-in of this machine has no such page."""
        if not checkout.psp_session_id or settings.STRIPE_API_BASE:
            return checkout.psp_session_id or "-"
        mode = "" if settings.STRIPE_LIVEMODE else "/test"
        address = f"{_DASHBOARD}{mode}/checkout/sessions/{checkout.psp_session_id}"
        return format_html('<a href="{}" rel="noreferrer">{}</a>', address, checkout.psp_session_id)

    def has_recheck_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "checkout.recheck")

    @admin.action(description=gettext_lazy("Re-check payment"), permissions=["recheck"])
    def recheck_payment(self, request: HttpRequest, queryset: QuerySet[Checkout]) -> TemplateResponse | None:
        question = gettext("Ask the card processor about these payments again?")
        page = ask_first(self, request, queryset, action="recheck_payment", question=question)
        if page is not None:
            return page
        for checkout in queryset.select_related("order"):
            self._recheck(request, checkout)
        return None

    def _recheck(self, request: HttpRequest, checkout: Checkout) -> None:
        number = checkout.order.number
        try:
            seen = recheck_checkout(checkout_id=checkout.pk, actor=cast(User, request.user), now=timezone.now())
        except DomainError as error:
            self.message_user(request, f"{number}: {error.message}", messages.ERROR)
            return
        self.message_user(request, f"{number}: {Checkout.State(seen.state).label}", messages.SUCCESS)
