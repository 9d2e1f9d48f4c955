"""Refunds: an amount and a reason, then the question with the whole effect, then the act."""

import uuid
from collections.abc import Iterator
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.admin.base import MoneyAdmin, shown_amount
from billing.admin.forms import AmountField, MoneyForm
from billing.admin.reasons import ask_reason
from billing.models import CreditNote, Invoice, Order
from billing.selectors.invoices import document_number
from billing.selectors.refunds import RefundPlan, get_refundable, plan_refund
from billing.services.refunds import preview_refund, refund_failed_delivery, refund_invoice
from catalyst.core.errors import DomainError
from catalyst.core.money import Money, plain_amount
from tenancy.models import User

RIGHT = "refund.issue"


class RefundForm(MoneyForm):
    amount = AmountField(label=_("Amount"))
    reason = forms.CharField(
        label=_("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 3}), help_text=_("Shown on the note.")
    )
    key = forms.CharField(widget=forms.HiddenInput, min_length=8, max_length=64)


class RefundPages(MoneyAdmin):
    """What an admin of invoices adds to its pages: the button, the form, and the question with the whole effect."""

    change_form_template = "admin/billing/refundable.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.refund_view)
        return [path("<int:invoice_id>/refund/", view, name="billing_invoice_refund"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        address = ""
        invoice = self.get_object(request, object_id) if self.may(request, RIGHT) else None
        if invoice is not None and get_refundable(invoice).total_minor:
            address = reverse("admin:billing_invoice_refund", args=[invoice.pk])
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "refund_address": address})

    def refund_view(self, request: HttpRequest, invoice_id: int) -> HttpResponse:
        if not self.may(request, RIGHT):
            raise PermissionDenied
        invoice = Invoice.objects.select_related("order", "subscription").filter(pk=invoice_id).first()
        if invoice is None:
            raise Http404
        left = get_refundable(invoice)
        whole = plain_amount(Money(left.total_minor, invoice.currency_id))
        form = RefundForm(
            request.POST or None,
            currency=invoice.currency_id,
            initial={"amount": whole, "key": uuid.uuid4().hex},
        )
        answer = self._go_on(request, invoice, form) if form.is_valid() else None
        if answer is not None:
            return answer
        context = {
            **self._frame(request, invoice),
            "form": form,
            "card": shown_amount(left.card_minor, invoice.currency_id),
            "credit": shown_amount(left.credit_minor, invoice.currency_id),
        }
        return TemplateResponse(request, "admin/billing/refund.html", context, status=422 if form.errors else 200)

    def _go_on(self, request: HttpRequest, invoice: Invoice, form: RefundForm) -> HttpResponse | None:
        """Ask, or do it; None when it is refused, with the refusal in the form."""
        amount = form.cleaned_data["amount"].amount
        try:
            if "confirmed" not in request.POST:
                return self._ask(request, invoice, form, preview_refund(invoice, amount))
            note = refund_invoice(
                invoice_id=invoice.pk,
                amount_minor=amount,
                reason=form.cleaned_data["reason"],
                actor=cast(User, request.user),
                now=timezone.now(),
                key=form.cleaned_data["key"],
                confirmed_card_minor=_seen_card_minor(request),
            )
        except DomainError as error:
            field = error.pointer.strip("/")
            form.add_error(field if field in form.fields else None, error.message)
            return None
        self.message_user(request, told(note), messages.SUCCESS)
        return redirect("admin:billing_invoice_change", invoice.pk)

    def _ask(self, request: HttpRequest, invoice: Invoice, form: RefundForm, plan: RefundPlan) -> HttpResponse:
        context = {
            **self._frame(request, invoice),
            "title": gettext("Refund %(invoice)s?") % {"invoice": _number(invoice)},
            "form": form,
            "effects": [*effects(plan, invoice.currency_id), f"{gettext('Reason')}: {form.cleaned_data['reason']}"],
            "sealed": {"card_minor": plan.card_minor},
            "back": request.path,
        }
        return TemplateResponse(request, "admin/billing/sure.html", context)

    def _frame(self, request: HttpRequest, invoice: Invoice) -> dict[str, Any]:
        title = gettext("Refund %(invoice)s") % {"invoice": _number(invoice)}
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts}


def cancel_and_refund(model_admin: MoneyAdmin, request: HttpRequest, queryset: QuerySet[Order]) -> HttpResponse | None:
    """Give everything back for orders that could not be delivered, after a question with a reason."""
    answer = ask_reason(
        model_admin,
        request,
        action="cancel_and_refund",
        question=gettext("Cancel these orders and refund all that was paid?"),
        effects=[line for order in queryset for line in _order_effects(order)],
    )
    if not isinstance(answer, str):
        return answer
    for order in queryset:
        try:
            note = refund_failed_delivery(
                order_number=order.number, reason=answer, actor=cast(User, request.user), now=timezone.now()
            )
        except DomainError as error:
            model_admin.message_user(request, f"{order.number}: {error.message}", messages.ERROR)
            continue
        done = told(note) if note else gettext("It cost nothing. The subscription has ended.")
        model_admin.message_user(request, f"{order.number}: {done}", messages.SUCCESS)
    return None


def effects(plan: RefundPlan, currency: str) -> Iterator[str]:
    """Yield what a refund does, in whole sentences."""
    if plan.card_minor:
        yield gettext("%(amount)s goes back to the card.") % {"amount": shown_amount(plan.card_minor, currency)}
    if plan.credit_minor:
        amount = shown_amount(plan.credit_minor, currency)
        yield gettext("%(amount)s is added to the credit balance.") % {"amount": amount}
    if plan.refunds_order:
        yield gettext("The order becomes refunded.")
    if not plan.ends_subscription:
        yield gettext("The subscription and its Applications stay as they are.")
        return
    yield gettext("The subscription ends at once.")
    if plan.applications:
        yield gettext("These Applications are removed: %(names)s.") % {"names": ", ".join(plan.applications)}


def told(note: CreditNote) -> str:
    """Return what became of a refund, for the person who asked for it."""
    if note.state == CreditNote.State.REFUND_FAILED:
        return gettext("The card processor refused the card's part; credit that was due is given. See the incidents.")
    if note.state == CreditNote.State.REFUND_PENDING:
        return gettext("The credit note is issued. The card processor has not confirmed the card's part yet.")
    return gettext("The refund is done and its credit note is issued.")


def _seen_card_minor(request: HttpRequest) -> int:
    """Return the card's part that the question showed; -1, which no plan has, when the answer does not say it."""
    seen = request.POST.get("card_minor", "")
    return int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 19 else -1


def _number(invoice: Invoice) -> str:
    return document_number(invoice.series, invoice.number or 0)


def _order_effects(order: Order) -> Iterator[str]:
    invoice = Invoice.objects.select_related("order", "subscription").filter(order=order).first()
    if invoice is None:
        yield f"{order.number}: " + gettext("Its invoice is issued first, then all that was paid goes back.")
        return
    left = get_refundable(invoice)
    for line in effects(plan_refund(invoice, left.total_minor, left), order.currency_id):
        yield f"{order.number}: {line}"
