"""The report of the business: revenue that recurs and revenue that was billed, month by month, and who may see it."""

import csv
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from io import StringIO

import pytest
from dateutil.relativedelta import relativedelta
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from billing.models import Order, Subscription, SubscriptionEvent
from billing.selectors.reports import Month, Report, month_starts, revenue_report
from billing.services.subscription_changes import ChangeSelection
from billing.services.subscriptions import cancel_subscription
from tenancy.models import User
from tests.billing import changing
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.billing.sold import CARD_MINOR, sell
from tests.billing.subscribed import DAY, Customer, deliver, subscribe
from tests.clock import MovableClock
from tests.conftest import owner_connection
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)

_URL = "/api/v1/reports/revenue/"
_PAGE = "/admin/billing/subscription/report/"


def _tenth(clock: MovableClock, months: int = 0) -> datetime:
    """Move to noon of the tenth of a coming month, so that no test depends on the day on which it runs."""
    first = timezone.now().replace(day=10, hour=12, minute=0, second=0, microsecond=0) + relativedelta(months=1)
    return clock.advance_to(first + relativedelta(months=months))


def _report(shop: Shop, months: int = 3) -> Report:
    return revenue_report(sovereign=shop.sovereign, months=months, now=timezone.now())


def _sweep(customer: Customer) -> None:
    customer.sweep(timezone.now())
    deliver("billing.issue_invoice")


def test_an_empty_business_has_months_and_no_money(shop: Shop) -> None:
    report = _report(shop)

    assert [month.mrr_minor for month in report.months] == [0, 0, 0]
    assert [month.churn_percent for month in report.months] == [0.0, 0.0, 0.0]
    assert (report.plans, report.campaigns, report.credit_outstanding_minor) == ([], [], 0)
    assert report.sovereign == shop.sovereign.domain


def test_revenue_recurs_is_billed_and_ends(shop: Shop, clock: MovableClock) -> None:
    _tenth(clock)
    stays = subscribe(shop, "stays", credit_minor=4 * PLAN_MINOR)
    leaves = subscribe(shop, "leaves")
    deliver("billing.issue_invoice")
    for _month in range(2):
        # A month and a day: one renews, the other owes, is suspended after a week, and has ended when the next passed.
        clock.advance(timedelta(days=32))
        _sweep(stays)
        _sweep(leaves)
        clock.advance(8 * DAY)
        _sweep(leaves)

    assert (stays.state, leaves.state) == ("active", "canceled")
    report = _report(shop)
    first = report.months[0]
    assert (first.started, first.live, first.churned, first.mrr_minor) == (2, 2, 0, 2 * PLAN_MINOR)
    assert (first.billed_minor, first.credit_minor, first.card_minor) == (2 * PLAN_MINOR, 2 * PLAN_MINOR, 0)
    assert first.tax_minor == 2 * round(PLAN_MINOR * 5 / 105)
    assert report.months[1].mrr_minor == PLAN_MINOR  # the suspended one does not count
    assert report.months[1].billed_minor == PLAN_MINOR
    ended = next(month for month in report.months if month.churned)
    assert (ended.churned, ended.live, ended.live_before, ended.churn_percent) == (1, 1, 2, 50.0)
    assert report.months[-1].mrr_minor == PLAN_MINOR
    assert [(plan.plan, plan.live, plan.mrr_minor) for plan in report.plans] == [("m", 1, PLAN_MINOR)]
    assert report.plans[0].billed_minor == sum(month.billed_minor for month in report.months)


def test_orders_do_not_multiply_what_recurs(shop: Shop) -> None:
    """W-17: revenue was multiplied by the number of orders. A change is one more Order of the same Subscription."""
    changing.stock(shop)
    now = timezone.now()
    changed = changing.in_period(changing.subscribe(shop), now - 15 * DAY, now + 15 * DAY)
    changing.change(shop, changed, ChangeSelection(plan="l"), now=now)
    other = subscribe(shop, "company", env_type="dev")

    report = _report(shop, months=1)

    assert (Order.objects.filter(organization_id=shop.organization.pk).count(), other.state) == (2, "active")
    assert (report.months[0].live, report.months[0].mrr_minor) == (2, changing.LARGE_MINOR + PLAN_MINOR)
    plans = [(plan.plan, plan.live, plan.mrr_minor) for plan in report.plans]
    assert sorted(plans) == [("l", 1, changing.LARGE_MINOR), ("m", 1, PLAN_MINOR)]


def test_campaigns_cost_what_they_gave(shop: Shop) -> None:
    place = shop.with_customer("company")
    place.buy(voucher_code=shop.code(shop.voucher(PLAN_MINOR, campaign="spring")))
    subscribe(shop, "other", credit_minor=1_000)

    rows = [(row.campaign, row.redemptions, row.granted_minor) for row in _report(shop).campaigns]

    assert rows == [("", 1, PLAN_MINOR + 1_000), ("spring", 1, PLAN_MINOR)]
    assert _report(shop).credit_outstanding_minor == 1_000


def test_what_did_not_go_back_to_the_card_is_not_refunded(shop: Shop) -> None:
    sold = sell(shop)
    sold.standin.script("refunds.create", Fault.ERROR_402)

    note = sold.refund(None)

    assert (note.state, note.card_minor, note.credit_minor) == ("refund_failed", CARD_MINOR, VOUCHER_MINOR)
    assert _report(shop).months[-1].refunded_minor == VOUCHER_MINOR
    assert _report(shop).plans[0].refunded_minor == VOUCHER_MINOR
    sold.refund(None)
    assert _report(shop).months[-1].refunded_minor == PLAN_MINOR


@pytest.mark.breaks_invariants
def test_only_the_sovereigns_currency_is_counted(shop: Shop) -> None:
    """An amount of another currency is no number that could be added."""
    sell(shop).refund(5_000)
    subscribe(shop, "leaves")
    cancel_subscription(
        subscription_id=Subscription.objects.latest("pk").pk,
        at_once=True,
        actor=shop.staff,
        reason="Fraud",
        now=timezone.now(),
    )
    deliver("billing.issue_invoice")
    month = _report(shop, months=1).months[0]
    assert (month.started, month.churned, month.refunded_minor) == (2, 1, 5_000)
    tables = ("account", "subscription", "invoice", "voucher")
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        for table in tables:
            owner.execute(f"UPDATE billing_{table} SET currency = 'USD'")

    report = _report(shop, months=1)

    assert report.months == [Month(month.start, *[0] * 11)]
    assert (report.plans, report.campaigns, report.credit_outstanding_minor) == ([], [], 0)


def test_months_begin_in_the_sovereigns_zone() -> None:
    late = datetime.fromisoformat("2026-12-31T23:30:00+04:00")

    assert [start.isoformat() for start in month_starts(late, 3)] == [
        "2026-10-01T00:00:00+04:00",
        "2026-11-01T00:00:00+04:00",
        "2026-12-01T00:00:00+04:00",
    ]


def test_the_api_tells_staff_and_nobody_else(
    shop: Shop, api: APIClient, api_as: Callable[..., APIClient], stranger: User
) -> None:
    subscribe(shop, "company")

    answer = api_as(shop.staff).get(_URL, {"months": 2})

    assert answer.status_code == 200
    assert [month["mrr"] for month in answer.json()["months"]] == [
        {"amount": 0, "currency": "OMR"},
        {"amount": PLAN_MINOR, "currency": "OMR"},
    ]
    assert answer.json()["sovereign"] == shop.sovereign.domain
    assert api.get(_URL).status_code == 401
    assert {api_as(user).get(_URL).status_code for user in (shop.buyer, stranger)} == {403}
    for name, value in [("months", "0"), ("months", "x"), ("month", "1")]:
        refused = api_as(shop.staff).get(_URL, {name: value})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, f"/{name}")


def test_the_page_has_a_chart_and_its_numbers_as_csv(shop: Shop, client: Client) -> None:
    subscribe(shop, "company")
    client.force_login(shop.staff)

    page = client.get(_PAGE).content.decode()
    table = client.get("/admin/billing/subscription/report.csv")
    lines = list(csv.DictReader(StringIO(table.content.decode("utf-8-sig"))))

    assert table["Content-Disposition"] == f'attachment; filename="report-{shop.sovereign.domain}.csv"'
    assert "no-store" in table["Cache-Control"]
    assert page.count("<rect") == 12
    assert "50.000" in page
    assert len(lines) == 12
    assert (lines[-1]["sovereign"], lines[-1]["mrr_minor"]) == (shop.sovereign.domain, str(PLAN_MINOR))


@pytest.mark.parametrize("role", ["support-agent", ""])
def test_the_page_is_for_those_who_may_see_it(shop: Shop, client: Client, role: str) -> None:
    shop.staff.staff_role = role
    shop.staff.save(update_fields=["staff_role"])
    client.force_login(shop.staff)

    assert client.get(_PAGE).status_code in (302, 403)
    assert client.get("/admin/billing/subscription/report.csv").status_code in (302, 403)
    assert _PAGE not in client.get("/admin/billing/subscription/").content.decode()


def test_the_list_leads_to_the_page(shop: Shop, client: Client) -> None:
    client.force_login(shop.staff)

    assert _PAGE in client.get("/admin/billing/subscription/").content.decode()


@pytest.mark.parametrize(("role", "state"), [("support-agent", "canceled"), ("", "active")])
def test_support_ends_a_subscription_at_once_and_nobody_else_does(
    shop: Shop, client: Client, role: str, state: str
) -> None:
    customer = subscribe(shop, "company")
    shop.staff.staff_role = role
    shop.staff.save(update_fields=["staff_role"])
    client.force_login(shop.staff)
    form = {"action": "end_at_once", "_selected_action": [str(customer.subscription.pk)]}

    asked = client.post("/admin/billing/subscription/", form)
    without = client.post("/admin/billing/subscription/", {**form, "confirmed": "yes", "reason": " "})
    before = customer.state
    done = client.post(
        "/admin/billing/subscription/", {**form, "confirmed": "yes", "reason": "Fraud"}, follow=bool(role)
    )

    may = role == "support-agent"
    assert before == "active"
    assert (asked.status_code == 200, without.status_code == 422) == (may, may)
    assert customer.state == state
    assert ("company prod m ends. Its Applications are removed" in asked.content.decode()) is may
    assert ("Company prod m has ended." in done.content.decode()) is may
    ended = SubscriptionEvent.objects.filter(subscription=customer.subscription, to_state="canceled")
    assert list(ended.values_list("reason", flat=True)) == (["Fraud"] if may else [])


def test_the_history_of_a_subscription_shows_its_amounts(shop: Shop, client: Client) -> None:
    customer = subscribe(shop, "company")
    client.force_login(shop.staff)
    address = f"/admin/billing/subscription/{customer.subscription.pk}/change/"
    assert client.get(address).status_code == 200
    steps: list[Callable[[], object]] = [
        partial(customer.sweep, customer.ends),
        partial(
            cancel_subscription,
            subscription_id=customer.subscription.pk,
            at_once=True,
            actor=shop.staff,
            reason="Fraud",
            now=customer.ends,
        ),
    ]
    statements = []
    for step in steps:
        step()
        with CaptureQueriesContext(connection) as queries:
            page = client.get(address).content.decode()
        statements.append(len(queries))

    shown = re.findall(r'field-monthly">\s*<p>([^<]*)</p>', page)
    assert customer.history() == ["active > past_due", "past_due > canceled"]
    assert shown == ["OMR\u00a050.000"] * 2
    assert statements[0] == statements[1]
