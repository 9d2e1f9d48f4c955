"""A shop with more to choose from, and a customer with a live subscription who wants it changed."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.models import Checkout, Subscription, SubscriptionChange
from billing.services.checkout_types import CheckoutOutcome
from billing.services.subscription_changes import ChangeCommand, ChangeSelection, preview_change, request_change
from marketplace.models import Application, BlueprintVersion, Change
from tenancy.models import Environment
from tests import factories
from tests.billing.killed import sweep
from tests.billing.shop import Books, Shop, books
from tests.stripe_standin import StripeStandIn

#: A period of 30 days and its half. Far ahead, so that every price of a test is valid by then.
START = datetime(2099, 4, 1, 12, tzinfo=UTC)
HALF, END = START + timedelta(days=15), START + timedelta(days=30)
LARGE_MINOR, SMALL_MINOR, BOOKSTACK_MINOR, BACKUP_MINOR = 80_000, 20_000, 4_000, 3_000


def stock(shop: Shop) -> None:
    """Put a smaller and a larger Plan, a second Application and an Add-on on the shelf."""
    factories.PlanFactory.create(slug="l", title_en="L", title_ar="L", memory_mib=16_384, position=3)
    factories.PlanFactory.create(slug="s", title_en="S", title_ar="S", memory_mib=1_024, position=1)
    factories.PriceFactory.create(kind="plan", reference="l", amount_minor=LARGE_MINOR)
    factories.PriceFactory.create(kind="plan", reference="s", amount_minor=SMALL_MINOR)
    factories.AddOnFactory.create(slug="backup", title_en="Backup", title_ar="نسخ احتياطي")
    factories.PriceFactory.create(kind="addon", reference="backup", amount_minor=BACKUP_MINOR)
    factories.PriceFactory.create(kind="blueprint", reference="bp-bookstack", amount_minor=BOOKSTACK_MINOR)
    factories.BlueprintVersionFactory.create(
        blueprint=factories.BlueprintFactory.create(slug="bookstack", title="BookStack"),
        version="1.0.0",
        major=1,
        minor=0,
        patch=0,
        contract={"spec": {"footprint": {"memoryMiB": 512, "cpuMilli": 250, "diskGiB": 5}, "depends": []}},
        files={},
    )


def subscribe(shop: Shop, *, credit: int = 200_000) -> Subscription:
    """Buy the Plan of the shop from credit; the period is then moved to a known one of 30 days."""
    shop.buy(voucher_code=shop.code(shop.voucher(credit)))
    return in_period(Subscription.objects.get(organization_id=shop.organization.pk))


def in_period(subscription: Subscription, start: datetime = START, end: datetime = END) -> Subscription:
    Subscription.objects.filter(pk=subscription.pk).update(current_period=(start, end))
    return Subscription.objects.select_related("order", "organization__organization").get(pk=subscription.pk)


def change(
    shop: Shop, subscription: Subscription, selection: ChangeSelection, *, now: datetime = HALF, **request: Any
) -> CheckoutOutcome | SubscriptionChange:
    """Ask for a change as a page or the API would."""
    purchase = shop.request(selection=None, **{"key": uuid.uuid4().hex, "fingerprint": b"\0" * 32, **request})
    subscription = current_row(subscription)
    return request_change(
        command=ChangeCommand(subscription=subscription, selection=selection, checkout=purchase), now=now
    )


def current_row(subscription: Subscription) -> Subscription:
    return Subscription.objects.select_related("order", "organization__organization").get(pk=subscription.pk)


def untouched(shop: Shop) -> tuple[Books, list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return all of the customer's that a refused wish may not touch, to compare before and after."""
    mine = {"organization_id": shop.organization.pk}
    columns = ("plan", "state", "version", "cancel_at_period_end", "items")
    subscriptions = Subscription.objects.filter(**mine).order_by("id").values_list(*columns)
    changes = SubscriptionChange.objects.filter(**mine).order_by("created_at").values_list("kind", "state", "plan")
    return books(shop), list(subscriptions), list(changes)


def preview(shop: Shop, subscription: Subscription, selection: ChangeSelection, **values: Any) -> Any:
    return preview_change(
        subscription=current_row(subscription),
        selection=selection,
        organization=shop.organization,
        sovereign=shop.sovereign,
        guesser=None,  # type: ignore[arg-type]  # nobody is asked without a code
        **{"now": HALF, **values},
    )


def session_of(outcome: Any) -> str:
    return str(Checkout.objects.get(pk=outcome.checkout_id).psp_session_id)


def ask(shop: Shop, subscription: Subscription, selection: ChangeSelection, **request: Any) -> CheckoutOutcome:
    outcome = change(shop, subscription, selection, **request)
    assert isinstance(outcome, CheckoutOutcome)
    return outcome


def pay(standin: StripeStandIn, outcome: CheckoutOutcome) -> None:
    standin.pay(session_of(outcome))
    sweep()


def install(shop: Shop, *names: str) -> None:
    """Put the rows of delivered Applications where delivery would; ``bookstack-2`` is a second BookStack."""
    environment = Environment.objects.filter(organization=shop.organization, env_type="prod").first()
    environment = environment or factories.EnvironmentFactory.create(organization=shop.organization)
    for name in names:
        made = Change.objects.create(
            organization=shop.organization, environment=environment, author=shop.buyer, summary=name
        )
        Application.objects.create(
            organization=shop.organization,
            environment=environment,
            slug=name,
            blueprint_version=BlueprintVersion.objects.get(blueprint__name=f"bp-{name.partition('-')[0]}"),
            version_range="^1.0",
            change=made,
        )
