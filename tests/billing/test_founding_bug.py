"""The founding bug: whatever fails before the hand-over, nothing is used up and the same code works at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from billing.models import BillingSettings
from catalyst.core.models import Outbox
from marketplace.models import Application
from tests import factories
from tests.billing.api.calls import omr, refusal
from tests.billing.killed import sweep
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Books, Shop, books
from tests.conftest import owner_connection
from tests.crash.oracle import assert_sound
from tests.stripe_standin import Fault, StripeStandIn

pytestmark = pytest.mark.django_db(transaction=True)

UNTOUCHED = Books(0, 0, [], [], [], [], 0, 0)
GIVEN_BACK = Books(0, 0, [], ["released"], ["cancelled"], ["compensated"], 0, 0)
NOT_CONFIGURED = (503, "payment_processor_not_configured")
REJECTED = (502, "payment_processor_rejected")


@pytest.fixture(autouse=True)
def _nothing_is_delivered(catalyst_home: Path) -> Iterator[None]:
    """No test here pays, so none may start a delivery or make a Git repository."""
    yield
    assert Outbox.objects.filter(topic="order.paid").count() == 0
    assert Application.objects.count() == 0
    assert list(catalyst_home.rglob("*.git")) == []


def assert_code_works(shop: Shop, code: str) -> None:
    """The same code buys: it is granted once, and the shopper has one card page for the rest."""
    assert shop.standin is not None
    answer = shop.calls().buy(voucher_code=code)
    assert (answer.status_code, answer.json()["state"]) == (201, "awaiting_payment")
    assert answer.json()["order"]["credit"] == omr(VOUCHER_MINOR)
    account = books(shop)
    assert account.entries == [("voucher_grant", VOUCHER_MINOR)]
    assert (account.posted, account.held) == (VOUCHER_MINOR, VOUCHER_MINOR)
    assert (account.redemptions[-1], account.orders[-1]) == ("redeemed", "pending_payment")
    (payable,) = shop.standin.sessions(status="open")
    assert (payable["url"], payable["amount_total"]) == (answer.json()["session_url"], PLAN_MINOR - VOUCHER_MINOR)
    sweep()
    assert_sound(shop.organization.pk, shop.standin)


@contextmanager
def failing_insert(table: str) -> Iterator[None]:
    """Let the database refuse every new row of a table."""
    with owner_connection() as owner:
        owner.execute(
            "CREATE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no space left on device' USING errcode = 'disk_full'; END $$"
        )
        owner.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_row()")
        try:
            yield
        finally:
            owner.execute("DROP FUNCTION refuse_row CASCADE")


def test_missing_processor_refuses_before_anything_is_reserved(
    shop_without_processor: Shop, stripe_standin: StripeStandIn, settings: Any
) -> None:
    shop = shop_without_processor
    voucher = shop.voucher()

    answer = shop.calls().buy(voucher_code=shop.code(voucher))

    assert refusal(answer) == NOT_CONFIGURED
    assert books(shop, voucher) == UNTOUCHED
    assert stripe_standin.calls.count() == 0
    settings.STRIPE_API_BASE, shop.standin = stripe_standin.url, stripe_standin
    shop.configure_processor()
    assert_code_works(shop, shop.code(voucher))


def test_unreadable_settings_refuse_before_anything_is_reserved(shop: Shop) -> None:
    voucher = shop.voucher()
    BillingSettings.objects.update(stripe_secret_key_sealed="v1:00000000:AAAA:AAAA")

    answer = shop.calls().buy(voucher_code=shop.code(voucher))

    assert refusal(answer) == NOT_CONFIGURED
    assert books(shop, voucher) == UNTOUCHED
    assert shop.standin is not None
    assert shop.standin.calls.count() == 0
    shop.configure_processor()
    assert_code_works(shop, shop.code(voucher))


@pytest.mark.parametrize("table", ["billing_order", "billing_orderline", "billing_redemption", "core_idempotencykey"])
def test_a_failing_insert_rolls_everything_back(shop: Shop, table: str) -> None:
    voucher = shop.voucher()

    with failing_insert(table):
        answer = shop.calls().buy(voucher_code=shop.code(voucher))

    assert answer.status_code in (500, 503)
    assert books(shop, voucher) == UNTOUCHED
    assert shop.standin is not None
    assert shop.standin.calls.count() == 0
    assert_code_works(shop, shop.code(voucher))


@pytest.mark.parametrize("table", ["billing_pspcall", "billing_credithold", "billing_ledgerentry"])
def test_a_failing_insert_after_the_reservation_is_undone_by_the_sweeper(shop: Shop, table: str) -> None:
    voucher = shop.voucher()

    with failing_insert(table):
        answer = shop.calls().buy(voucher_code=shop.code(voucher))
        assert answer.status_code in (500, 503)
        assert (books(shop, voucher).entries, books(shop, voucher).held) == ([], 0)
        sweep()

    assert books(shop, voucher) == GIVEN_BACK
    assert_sound(shop.organization.pk, shop.standin)
    assert_code_works(shop, shop.code(voucher))


def test_a_price_that_cannot_be_found_touches_nothing(shop: Shop) -> None:
    voucher = shop.voucher()
    factories.PlanFactory.create(slug="unpriced", title_en="Unpriced", title_ar="Unpriced")

    answer = shop.calls().buy(voucher_code=shop.code(voucher), plan="unpriced")

    assert refusal(answer) == (422, "line_unavailable")
    assert books(shop, voucher) == UNTOUCHED
    assert shop.standin is not None
    assert shop.standin.calls.count() == 0
    assert_code_works(shop, shop.code(voucher))


@pytest.mark.parametrize("operation", ["customers.create", "coupons.create", "checkout.sessions.create"])
@pytest.mark.parametrize("fault", [Fault.ERROR_400, Fault.ERROR_402])
def test_a_rejected_call_gives_everything_back(shop: Shop, operation: str, fault: Fault) -> None:
    voucher = shop.voucher()
    assert shop.standin is not None
    shop.standin.script(operation, fault)

    answer = shop.calls().buy(voucher_code=shop.code(voucher))

    assert refusal(answer) == REJECTED
    assert books(shop, voucher) == GIVEN_BACK
    assert shop.standin.sessions() == []
    sweep()
    assert_sound(shop.organization.pk, shop.standin)
    assert_code_works(shop, shop.code(voucher))


def test_a_revoked_key_gives_everything_back(shop: Shop) -> None:
    voucher = shop.voucher()
    assert shop.standin is not None
    shop.standin.keys.clear()

    answer = shop.calls().buy(voucher_code=shop.code(voucher))

    assert refusal(answer) == NOT_CONFIGURED
    assert books(shop, voucher) == GIVEN_BACK
    shop.standin.keys.add("sk_test_standin")
    assert_code_works(shop, shop.code(voucher))


@pytest.mark.parametrize("fault", [Fault.ERROR_401, Fault.ERROR_403])
def test_a_key_refused_in_the_middle_gives_everything_back(shop: Shop, fault: Fault) -> None:
    voucher = shop.voucher()
    assert shop.standin is not None
    shop.standin.script("checkout.sessions.create", fault)

    answer = shop.calls().buy(voucher_code=shop.code(voucher))

    assert refusal(answer) == NOT_CONFIGURED
    assert books(shop, voucher) == GIVEN_BACK
    assert_code_works(shop, shop.code(voucher))
