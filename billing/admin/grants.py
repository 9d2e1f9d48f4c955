"""Credit by hand, and granted credit that is taken back: a form or an action, a question, an audit row.

Giving and taking back want a reason; approving and declining stand under the one that the grant was asked for with.
"""

import uuid
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from billing.admin.base import MoneyAdmin, shown_amount
from billing.admin.forms import AmountField, MoneyForm
from billing.admin.reasons import ask_reason
from billing.models import CreditGrant, Redemption
from billing.selectors.credit_grants import needs_second_person
from billing.services.credit_grants import decide_grant, request_grant
from billing.services.credit_reversals import reverse_grant, reverse_redemption
from catalyst.core.errors import DomainError
from tenancy.admin import ask_first
from tenancy.models import Organization, User
from tenancy.selectors.sovereign import get_sovereign

_RIGHT = "credit.grant"
_LIST = "admin:billing_creditgrant_changelist"


class GrantForm(MoneyForm):
    organization = forms.SlugField(label=_("Organization"), help_text=_("Its short name, as in its address."))
    amount = AmountField(label=_("Credit"))
    reason = forms.CharField(label=_("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 3}))
    key = forms.CharField(widget=forms.HiddenInput, min_length=8, max_length=64)

    def clean_organization(self) -> Organization:
        found = Organization.objects.live().filter(slug=self.cleaned_data["organization"]).first()
        if found is None:
            raise forms.ValidationError(gettext("There is no Organization with this short name."))
        return found


@admin.register(CreditGrant)
class CreditGrantAdmin(MoneyAdmin):
    view_permission = "billing.view_all"
    add_permission = _RIGHT
    list_display = ("created_at", "organization_slug", "amount", "state", "requested_by", "decided_by", "decided_at")
    list_select_related = ("organization__organization", "requested_by", "decided_by")
    list_filter = ("state",)
    search_fields = ("=organization__organization__slug", "reason")
    ordering = ("-id",)
    fields = (
        "organization_slug",
        "amount",
        "reason",
        "needs_second",
        "state",
        "requested_by",
        "created_at",
        "decided_by",
        "decided_at",
        "entry_seq",
    )
    actions = ("approve", "decline", "take_back")

    @admin.display(description=_("amount"), ordering="amount_minor")
    def amount(self, grant: CreditGrant) -> str:
        return shown_amount(grant.amount_minor, grant.currency_id)

    def has_grant_permission(self, request: HttpRequest) -> bool:
        return self.may(request, _RIGHT)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        currency = str(get_sovereign().currency_id)
        form = GrantForm(request.POST or None, currency=currency, initial={"key": uuid.uuid4().hex})
        answer = self._go_on(request, form) if form.is_valid() else None
        if answer is not None:
            return answer
        context = {**self._frame(request), "form": form}
        return TemplateResponse(request, "admin/billing/grant.html", context, status=422 if form.errors else 200)

    def _go_on(self, request: HttpRequest, form: GrantForm) -> HttpResponse | None:
        """Ask, or do it; None when it is refused, with the refusal in the form."""
        data = form.cleaned_data
        if "confirmed" not in request.POST:
            return self._ask(request, form)
        actor = cast(User, request.user)
        try:
            grant = request_grant(**data, actor=actor, now=timezone.now())
        except DomainError as error:
            field = error.pointer.strip("/")
            form.add_error(field if field in form.fields else None, error.message)
            return None
        waits = grant.state == CreditGrant.State.REQUESTED
        done = gettext("The credit waits for a second person.") if waits else gettext("The credit is given.")
        self.message_user(request, done, messages.WARNING if waits else messages.SUCCESS)
        return redirect(_LIST)

    def _ask(self, request: HttpRequest, form: GrantForm) -> HttpResponse:
        data = form.cleaned_data
        shown = shown_amount(data["amount"].amount, data["amount"].currency)
        effects = [
            gettext("%(amount)s is added to the credit balance of %(name)s.")
            % {"amount": shown, "name": data["organization"].name}
        ]
        actor = cast(User, request.user)
        if needs_second_person(data["organization"].pk, data["amount"].amount, actor=actor, now=timezone.now()):
            effects.append(
                gettext("Together with what you gave within 24 hours it needs a second person, who has to approve it.")
            )
        context = {**self._frame(request), "title": gettext("Give this credit?"), "form": form, "effects": effects}
        return TemplateResponse(request, "admin/billing/sure.html", {**context, "back": request.path})

    def _frame(self, request: HttpRequest) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": gettext("Give credit"), "opts": self.opts}

    @admin.action(description=gettext_lazy("Approve"), permissions=["grant"])
    def approve(self, request: HttpRequest, queryset: QuerySet[CreditGrant]) -> HttpResponse | None:
        return self._decide(request, queryset, "approve", gettext("Approve this credit?"), approve=True)

    @admin.action(description=gettext_lazy("Decline"), permissions=["grant"])
    def decline(self, request: HttpRequest, queryset: QuerySet[CreditGrant]) -> HttpResponse | None:
        return self._decide(request, queryset, "decline", gettext("Decline this credit?"), approve=False)

    def _decide(
        self, request: HttpRequest, queryset: QuerySet[CreditGrant], action: str, question: str, *, approve: bool
    ) -> HttpResponse | None:
        page = ask_first(self, request, queryset, action=action, question=question)
        if page is not None:
            return page
        for grant in queryset:
            try:
                decided = decide_grant(
                    grant_id=grant.pk, approve=approve, actor=cast(User, request.user), now=timezone.now()
                )
            except DomainError as error:
                self.message_user(request, f"{self.amount(grant)}: {error.message}", messages.ERROR)
                continue
            state = CreditGrant.State(decided.state).label
            self.message_user(request, f"{self.amount(grant)}: {state}", messages.SUCCESS)
        return None

    @admin.action(description=gettext_lazy("Take unspent credit back"), permissions=["grant"])
    def take_back(self, request: HttpRequest, queryset: QuerySet[CreditGrant]) -> HttpResponse | None:
        return _take_back(self, request, queryset, reverse_grant, "grant_id")


@admin.register(Redemption)
class RedemptionAdmin(MoneyAdmin):
    view_permission = "voucher.list"
    list_display = ("organization_slug", "voucher", "credit", "state", "reserved_at", "resolved_at")
    list_select_related = ("organization__organization", "voucher")
    list_filter = ("state",)
    search_fields = ("=organization__organization__slug", "=voucher__code_hint", "voucher__campaign")
    ordering = ("-id",)
    fields = ("organization_slug", "voucher", "credit", "state", "grant_seq", "reserved_at", "resolved_at")
    actions = ("take_back",)

    @admin.display(description=_("credit"), ordering="grant_minor")
    def credit(self, redemption: Redemption) -> str:
        return shown_amount(redemption.grant_minor, redemption.currency_id)

    def has_grant_permission(self, request: HttpRequest) -> bool:
        return self.may(request, _RIGHT)

    @admin.action(description=gettext_lazy("Take unspent credit back"), permissions=["grant"])
    def take_back(self, request: HttpRequest, queryset: QuerySet[Redemption]) -> HttpResponse | None:
        return _take_back(self, request, queryset, reverse_redemption, "redemption_id")


def _take_back(
    model_admin: MoneyAdmin, request: HttpRequest, queryset: QuerySet[Any], reverse: Any, argument: str
) -> HttpResponse | None:
    answer = ask_reason(
        model_admin,
        request,
        action="take_back",
        question=gettext("Take this credit back?"),
        effects=[
            gettext("All of it goes, or nothing: credit that is spent or set aside for an open order stays."),
            gettext("A Voucher's place becomes free again."),
        ],
    )
    if not isinstance(answer, str):
        return answer
    for row in queryset:
        try:
            reverse(**{argument: row.pk}, reason=answer, actor=cast(User, request.user), now=timezone.now())
        except DomainError as error:
            model_admin.message_user(request, f"{row}: {error.message}", messages.ERROR)
            continue
        model_admin.message_user(request, gettext("The credit is taken back."), messages.SUCCESS)
    return None
