"""Change a subscription in the console: choose, look at what it costs and what goes, confirm."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from billing.forms.questions import question_forms
from billing.models import SubscriptionChange
from billing.services.checkout_types import AlreadyPaid, CheckoutOutcome, CheckoutRequest, ReturnAddresses, Selection
from billing.services.subscription_changes import (
    ChangeCommand,
    ChangePreview,
    ChangeSelection,
    preview_change,
    request_change,
)
from billing.views.carts import see_other
from billing.views.subscription import Visit, of_subscription
from billing.views.subscription_offer import offer_of
from billing.views.voucher_words import guesser_of
from catalyst.core import idempotency
from catalyst.core.errors import DomainError
from catalyst.core.http.address import client_address
from marketplace.forms.schema_form import JoinedForms, SchemaForm
from marketplace.models import Plan
from marketplace.selectors.chosen_settings import ChosenSettings, list_chosen_settings
from marketplace.services.edits_config import ConfigurationRefused
from marketplace.services.typed_secrets import keep_typed_secrets, with_handles
from tenancy.selectors.sovereign import get_sovereign

#: What a form of the change page sends, in the order of the service's selection.
_PARTS = ("add", "add_addon", "remove", "remove_addon")


@require_http_methods(["GET", "HEAD", "POST"])
@of_subscription
def change(visit: Visit) -> HttpResponse:
    """Choose what should be different; then see what it costs, when it happens and what goes; then confirm."""
    if visit.request.method == "POST":
        return _confirm(visit)
    if "review" not in visit.request.GET:
        return _ask(visit, _selection(visit, visit.request.GET))
    selection = _selection(visit, visit.request.GET)
    try:
        return _review(visit, selection)
    except DomainError as error:
        return _ask(visit, selection, refusal=error)


def _ask(visit: Visit, selection: ChangeSelection, *, refusal: DomainError | None = None) -> HttpResponse:
    status = refusal.status if refusal else HTTPStatus.OK
    offer = offer_of(visit.subscription, visit.organization)
    return visit.show("billing_change", status, offer=offer, selection=selection, refusal=refusal)


def _review(
    visit: Visit,
    selection: ChangeSelection,
    *,
    code: str = "",
    refusal: DomainError | None = None,
) -> HttpResponse:
    preview = _preview(visit, selection, code=code)
    questions = _questions(visit, selection.add_blueprints)
    problem, is_blocked = refusal or preview.refusal, preview.refusal is not None
    if questions and isinstance(preview.refusal, ConfigurationRefused):
        # What is asked on this page stands in nobody's way before it was answered.
        problem, is_blocked = refusal, False
    return visit.show(
        "billing_review",
        problem.status if problem else HTTPStatus.OK,
        preview=preview,
        selection=selection,
        refusal=problem,
        is_blocked=is_blocked,
        questions=questions,
        summary=JoinedForms(*(form for _app, form in questions)),
        fitting=_fitting_plan(problem),
        back_url=_question_url(visit, selection),
        code=code,
        key=uuid.uuid4().hex,
    )


def _questions(visit: Visit, names: Iterable[str]) -> list[tuple[ChosenSettings, SchemaForm]]:
    """Return what the new Applications ask, with the answers where some were sent."""
    apps = list_chosen_settings(
        names,
        currency=str(get_sovereign().currency_id),
        at=timezone.now(),
        organization=visit.organization,
    )
    data = visit.request.POST if visit.request.method == "POST" else None
    forms = question_forms(apps, {}, data)
    return [(app, forms[app.name]) for app in apps if app.name in forms]


def _answers(visit: Visit, names: Iterable[str]) -> dict[str, Any]:
    """Return the answers that were sent, as they are: whether they fit is decided where the change is asked for."""
    if visit.request.method != "POST":
        return {}
    return {app.name: form.values for app, form in _questions(visit, names) if form.values}


def _keep_secrets(visit: Visit, selection: ChangeSelection) -> ChangeSelection:
    """Seal what was typed, and let the change name it."""
    scope = f"change:{visit.subscription.pk}:{visit.request.POST.get('key', '')[:64]}"
    config = dict(selection.config)
    for app, form in _questions(visit, selection.add_blueprints):
        if form.is_valid() and form.secrets:
            handles = keep_typed_secrets(scope=scope, blueprint=app.name, values=form.secrets, now=timezone.now())
            config[app.name] = with_handles(form.values, handles)
    return replace(selection, config=config)


def _fitting_plan(refusal: DomainError | None) -> Plan | None:
    """Return the Plan that would hold what was asked for, when size is the trouble."""
    slug = refusal.extra.get("smallest_plan") if refusal else None
    return Plan.objects.filter(slug=slug).first() if slug else None


def _question_url(visit: Visit, selection: ChangeSelection) -> str:
    """Return the address of the question with what was chosen."""
    parts = (
        selection.add_blueprints,
        selection.add_addons,
        selection.remove_applications,
        selection.remove_addons,
    )
    chosen = {"plan": selection.plan, **dict(zip(_PARTS, parts, strict=True))}
    address = reverse("console-change", args=[visit.organization.slug, visit.subscription.env_type])
    return f"{address}?{urlencode(chosen, doseq=True)}"


def _preview(visit: Visit, selection: ChangeSelection, *, code: str) -> ChangePreview:
    return preview_change(
        subscription=visit.subscription,
        selection=selection,
        organization=visit.organization,
        sovereign=get_sovereign(),
        voucher_code=code,
        guesser=guesser_of(visit.request),
        now=timezone.now(),
    )


def _confirm(visit: Visit) -> HttpResponse:
    """Ask for the change, or apply a voucher's code to what would be paid. Every refusal asks again."""
    selection = _selection(visit, visit.request.POST)
    code = visit.request.POST.get("code", "").strip()[:200]
    try:
        if "use_code" in visit.request.POST:
            return _review(visit, selection, code=code)
        selection = _keep_secrets(visit, selection)
        command = ChangeCommand(visit.subscription, selection, _purchase(visit, selection, code))
        outcome = request_change(command=command, now=timezone.now())
    except AlreadyPaid as error:
        messages.info(visit.request, error.message)
        return see_other(reverse("order", args=[error.extra["order"]]))
    except DomainError as error:
        return _refuse(visit, selection, error)
    return _done(visit, outcome)


def _done(visit: Visit, outcome: CheckoutOutcome | SubscriptionChange) -> HttpResponse:
    if isinstance(outcome, SubscriptionChange):
        messages.success(visit.request, _("The change is scheduled. You can take it back until it happens."))
        return visit.billing_page()
    if outcome.session_url:
        return see_other(outcome.session_url)
    if outcome.state == "completed":
        return see_other(reverse("order", args=[outcome.order_number]))
    messages.info(visit.request, _("You haven't been charged. Look at the change once more and confirm it."))
    return visit.billing_page()


def _refuse(visit: Visit, selection: ChangeSelection, error: DomainError) -> HttpResponse:
    """Show the change again with the refusal, or the question when it has no answer any more."""
    visit.subscription.refresh_from_db()
    try:
        answer = _review(visit, selection, refusal=error)
    except DomainError:
        answer = _ask(visit, selection, refusal=error)
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _selection(visit: Visit, data: Any) -> ChangeSelection:
    add, add_addons, remove, remove_addons = (tuple(each[:64] for each in data.getlist(name)[:50]) for name in _PARTS)
    plan = data.get("plan", "")[:48]
    return ChangeSelection(
        plan="" if plan == visit.subscription.plan else plan,
        add_blueprints=add,
        add_addons=add_addons,
        remove_applications=remove,
        remove_addons=remove_addons,
        config=_answers(visit, add),
    )


def _purchase(visit: Visit, selection: ChangeSelection, code: str) -> CheckoutRequest:
    request, organization, person = visit.request, visit.organization, visit.person
    key = request.POST.get("key", "")[:128] or uuid.uuid4().hex
    accepted = request.POST.get("quote", "")[:64]
    body = [
        selection.plan,
        *(sorted(part) for part in (selection.add_blueprints, selection.add_addons)),
        *(sorted(part) for part in (selection.remove_applications, selection.remove_addons)),
        code,
        accepted,
        dict(selection.config),
    ]
    back = f"{settings.PUBLIC_URL}{reverse('console-billing', args=[organization.slug])}"
    return CheckoutRequest(
        organization=organization,
        sovereign=get_sovereign(),
        buyer=person,
        selection=Selection(plan=visit.subscription.plan),
        voucher_code=code,
        env_type=visit.subscription.env_type,
        accepted_quote=accepted,
        # A change is no saved cart: the key of its page stands for one.
        cart_id=uuid.uuid5(uuid.NAMESPACE_URL, f"change/{organization.pk}/{person.pk}/{key}"),
        key=key,
        fingerprint=idempotency.fingerprint(method="POST", path=request.path, body=body),
        returns=ReturnAddresses(
            # The processor puts its own id in place of the braces.
            success=f"{settings.PUBLIC_URL}{reverse('checkout-return')}?session_id={{CHECKOUT_SESSION_ID}}",
            cancel=back,
        ),
        address=client_address(request),
    )
