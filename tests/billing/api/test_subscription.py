"""The subscription's endpoints: what they answer, what they refuse, and who is refused first."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import Order, Subscription, SubscriptionChange
from tests import factories
from tests.billing.api.calls import Calls, omr, refusal
from tests.billing.changing import BACKUP_MINOR, in_period, stock, subscribe, untouched
from tests.billing.shop import PLAN_MINOR, Shop, books

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def live(shop: Shop) -> Subscription:
    """A subscription exactly at the half of its period of 30 days, and a minute."""
    stock(shop)
    half = timezone.now() - timedelta(minutes=-1)
    return in_period(subscribe(shop), half - timedelta(days=15), half + timedelta(days=15))


def ask(calls: Calls, body: dict[str, Any], *, key: str = "", query: str = "") -> Any:
    return calls.post(f"subscription/change/{query}", body, **{"Idempotency-Key": key or uuid.uuid4().hex})


def test_it_is_shown_with_what_it_contains(shop: Shop, live: Subscription) -> None:
    body = shop.calls().get("subscription/").json()

    assert (body["plan"], body["state"], body["monthly"]) == ("m", "active", omr(PLAN_MINOR))
    assert [(item["reference"], item["unit"]) for item in body["items"]] == [
        ("m", omr(PLAN_MINOR)),
        ("bp-wordpress", omr(0)),
    ]
    assert (body["cancel_at_period_end"], body["grace_ends_at"], body["change"]) == (False, None, None)


def test_a_preview_says_all_and_writes_nothing(shop: Shop, live: Subscription) -> None:
    before = books(shop)

    answer = shop.calls().post("subscription/change/", {"plan": "l", "preview": True})

    body = answer.json()
    assert answer.status_code == 200
    assert (body["kind"], body["plan"], body["problem"]) == ("now", "l", None)
    assert (body["total"], body["credit"], body["charge"]) == (omr(15_000), omr(15_000), omr(0))
    assert (body["monthly_now"], body["then_monthly"]) == (omr(PLAN_MINOR), omr(80_000))
    assert ([item["reference"] for item in body["gained"]], [item["reference"] for item in body["lost"]]) == (
        ["l"],
        ["m"],
    )
    assert (books(shop), SubscriptionChange.objects.count()) == (before, 0)


def test_a_change_that_costs_is_sold_as_a_checkout(shop: Shop, live: Subscription) -> None:
    calls = shop.calls()
    quote = calls.post("subscription/change/", {"plan": "l", "preview": True}).json()["quote"]

    answer = ask(calls, {"plan": "l", "quote": quote})

    body = answer.json()
    assert (answer.status_code, body["state"], body["order"]["total"]) == (201, "completed", omr(15_000))
    assert calls.get("subscription/").json()["plan"] == "l"
    assert calls.get(f"checkouts/{body['id']}/").json()["state"] == "completed"
    assert calls.get(f"orders/{body['order']['number']}/").json()["lines"][0]["reference"] == "l"


def test_a_change_by_card_gives_the_address_of_its_page(shop: Shop, live: Subscription) -> None:
    shop.calls().buy(environment="dev", plan="l", voucher_code=shop.code(shop.voucher(1_000)))
    factories.PlanFactory.create(slug="xl", title_en="XL", memory_mib=32_768)
    factories.PriceFactory.create(kind="plan", reference="xl", amount_minor=900_000)

    answer = ask(shop.calls(), {"plan": "xl"})

    assert (answer.status_code, answer.json()["state"]) == (201, "awaiting_payment")
    assert answer.json()["session_url"].startswith("http")
    assert shop.calls().get("subscription/").json()["change"]["state"] == "pending"


def test_a_change_that_saves_is_scheduled_shown_and_taken_back(shop: Shop, live: Subscription) -> None:
    calls = shop.calls()

    answer = ask(calls, {"plan": "s"})

    scheduled = answer.json()["scheduled"]
    assert answer.status_code == 200
    assert (scheduled["kind"], scheduled["state"], scheduled["plan"]) == ("period_end", "scheduled", "s")
    assert calls.get("subscription/").json()["change"] == scheduled
    assert calls.get("subscription/").json()["plan"] == "m"
    dropped = calls.http.delete(calls.url("subscription/change/"))
    assert (dropped.status_code, dropped.json()["change"]) == (200, None)
    assert refusal(calls.http.delete(calls.url("subscription/change/"))) == (404, "not_found")


def test_the_same_key_is_the_same_change(shop: Shop, live: Subscription) -> None:
    calls = shop.calls()
    body = {"add": {"addons": ["backup"]}}

    first, again = (ask(calls, body, key="one-and-the-same") for _ in range(2))

    assert (first.status_code, first.json()["order"]) == (201, again.json()["order"])
    assert Order.objects.count() == 2
    assert calls.get("subscription/").json()["monthly"] == omr(PLAN_MINOR + BACKUP_MINOR)
    other = ask(calls, {"plan": "l"}, key="one-and-the-same")
    assert refusal(other) == (422, "idempotency_key_reused")


def test_ended_and_kept(shop: Shop, live: Subscription) -> None:
    calls = shop.calls()

    ending = calls.post("subscription/cancel/")
    assert (ending.status_code, ending.json()["cancel_at_period_end"], ending.json()["state"]) == (200, True, "active")
    before = untouched(shop)
    assert refusal(ask(calls, {"plan": "l"})) == (409, "subscription_not_active")
    assert untouched(shop) == before

    kept = calls.post("subscription/resume/")
    assert (kept.status_code, kept.json()["cancel_at_period_end"]) == (200, False)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"plan": "nowhere"}, (422, "line_unavailable")),
        ({"add": {"blueprints": ["bp-nowhere"]}}, (422, "line_unavailable")),
        ({"remove": {"applications": ["nowhere"]}}, (422, "line_unavailable")),
        ({}, (422, "nothing_changes")),
        ({"plan": "m"}, (422, "nothing_changes")),
        ({"plan": "l", "quote": "0" * 64}, (409, "quote_changed")),
        ({"plan": "l", "voucher_code": "WRONG-CODE-HERE"}, (404, "voucher_not_found")),
        ({"plan": ["l"]}, (400, "invalid_request")),
        ({"add": ["bp-bookstack"]}, (400, "invalid_request")),
        ({"unknown": 1}, (400, "invalid_request")),
    ],
)
def test_a_refusal_changes_nothing(shop: Shop, live: Subscription, body: Any, code: tuple[int, str]) -> None:
    before = untouched(shop)

    answer = ask(shop.calls(), body)

    assert refusal(answer) == code
    assert untouched(shop) == before


def test_a_key_is_needed_to_change_and_not_to_look(shop: Shop, live: Subscription) -> None:
    before = untouched(shop)

    assert refusal(shop.calls().post("subscription/change/", {"plan": "l"})) == (400, "idempotency_key_required")

    assert untouched(shop) == before


def test_an_environment_without_a_subscription_has_none(shop: Shop, live: Subscription) -> None:
    calls, before = shop.calls(), untouched(shop)

    for query in ("?environment=dev", "?environment=nowhere"):
        assert refusal(calls.get(f"subscription/{query}")) == (404, "not_found")
        assert refusal(ask(calls, {"plan": "l"}, query=query)) == (404, "not_found")
        for path in ("subscription/cancel/", "subscription/resume/"):
            assert refusal(calls.post(f"{path}{query}")) == (404, "not_found")
    assert untouched(shop) == before


#: Each act, and what has to be so that it would do something.
ACTS: dict[str, tuple[Callable[[Calls], Any], Callable[[Calls], Any]]] = {
    "change": (lambda calls: ask(calls, {"plan": "l"}), lambda calls: None),
    "preview": (lambda calls: ask(calls, {"plan": "l", "preview": True}), lambda calls: None),
    "drop": (
        lambda calls: calls.http.delete(calls.url("subscription/change/")),
        lambda calls: ask(calls, {"plan": "s"}),
    ),
    "cancel": (lambda calls: calls.post("subscription/cancel/"), lambda calls: None),
    "resume": (lambda calls: calls.post("subscription/resume/"), lambda calls: calls.post("subscription/cancel/")),
}


@pytest.mark.parametrize("name", ACTS)
def test_strangers_find_nothing_and_viewers_may_not(shop: Shop, live: Subscription, name: str) -> None:
    act, prepare = ACTS[name]
    prepare(shop.calls())
    stranger = shop.with_customer("globex").calls().http
    viewer = factories.MembershipFactory.create(organization=shop.organization, role="org-viewer").user
    before = untouched(shop)

    theirs, missing = act(Calls(stranger, shop.organization.slug)), act(Calls(stranger, "nowhere"))
    refused = act(replace(shop, buyer=viewer).calls())

    assert refusal(theirs) == (404, "not_found")
    assert theirs.json() == missing.json()
    assert refusal(refused) == (403, "permission_denied")
    assert replace(shop, buyer=viewer).calls().get("subscription/").status_code == 200
    assert untouched(shop) == before
    assert act(shop.calls()).status_code in (200, 201)
    assert (untouched(shop) == before) is (name == "preview")
