"""Many want one voucher at once: the database gives out as many places as there are, and no more."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from threading import Barrier
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone

from billing.models import Redemption, Voucher
from billing.services import checkout_reserve
from billing.services.checkout import start_checkout
from catalyst.core.database import execute, fetch_one
from tests.billing.api.calls import Calls
from tests.billing.killed import sweep
from tests.billing.shop import Shop
from tests.crash.oracle import assert_sound
from tests.crash.races import race, scratch_table, without_constraint

pytestmark = pytest.mark.django_db(transaction=True)

ORGANIZATIONS, USES, TABS, ROUNDS = 12, 5, 8, 10


@pytest.fixture
def shops(shop_without_processor: Shop) -> list[Shop]:
    """Twelve Organizations in one shop."""
    return [shop_without_processor.with_customer(f"company-{number}") for number in range(ORGANIZATIONS)]


def redeem(calls: Calls, code: str) -> str:
    return answer_of(calls.post("vouchers/redeem/", {"code": code}))


def buy(calls: Calls, code: str, **changes: Any) -> str:
    return answer_of(calls.buy(voucher_code=code, **changes))


def answer_of(response: Any) -> str:
    return str(response.json().get("code") if response.status_code >= 400 else response.status_code)


def assert_places_taken(voucher: Voucher, redeemed: int) -> None:
    voucher.refresh_from_db()
    assert (voucher.reserved_count, voucher.redeemed_count) == (0, redeemed)
    assert Redemption.objects.filter(voucher=voucher, state="redeemed").count() == redeemed


def test_five_uses_and_twelve_organizations_make_five_winners(shops: list[Shop]) -> None:
    calls = [shop.calls() for shop in shops]
    for _ in range(ROUNDS):
        voucher = shops[0].voucher(max_redemptions=USES)
        code = shops[0].code(voucher)

        outcomes = race([partial(redeem, customer, code) for customer in calls])

        assert outcomes["201"] == USES
        assert set(outcomes) <= {"201", "voucher_not_accepting", "voucher_busy"}
        assert_places_taken(voucher, USES)


def test_five_uses_and_twelve_checkouts_make_five_sales(shops: list[Shop]) -> None:
    for environment in ("prod", "dev"):
        voucher = shops[0].voucher(60_000, max_redemptions=USES)
        code = shops[0].code(voucher)

        outcomes = race([partial(buy, shop.calls(), code, environment=environment) for shop in shops])

        assert outcomes["201"] == USES
        assert set(outcomes) <= {"201", "voucher_not_accepting", "voucher_busy"}
        assert_places_taken(voucher, USES)


def test_five_uses_and_twelve_card_pages_make_five_reservations(shop: Shop) -> None:
    voucher = shop.voucher(max_redemptions=USES)
    places = [shop.with_customer(f"company-{number}") for number in range(ORGANIZATIONS)]

    outcomes = race([partial(buy, place.calls(), shop.code(voucher)) for place in places])
    sweep()

    # At most eight requests of a process wait for the processor: the ninth is told to come again.
    assert outcomes["201"] <= USES
    assert set(outcomes) <= {"201", "voucher_not_accepting", "voucher_busy", "payment_processor_unavailable"}
    assert_places_taken(voucher, outcomes["201"])
    for place in places:
        assert_sound(place.organization.pk, shop.standin)


def test_one_voucher_in_eight_tabs_is_redeemed_once(shop_without_processor: Shop) -> None:
    calls = shop_without_processor.calls()
    for _ in range(ROUNDS):
        voucher = shop_without_processor.voucher()
        code = shop_without_processor.code(voucher)

        outcomes = race([partial(redeem, calls, code)] * TABS)

        assert outcomes == {"201": 1, "voucher_already_redeemed": TABS - 1}
        assert_places_taken(voucher, 1)


def test_one_voucher_in_eight_tabs_of_the_checkout_is_sold_once(shop_without_processor: Shop) -> None:
    for number in range(ROUNDS):
        shop = shop_without_processor.with_customer(f"company-{number}")
        voucher = shop.voucher(60_000)

        outcomes = race([partial(buy, shop.calls(), shop.code(voucher)) for _ in range(TABS)])

        assert outcomes["201"] == 1
        assert set(outcomes) <= {"201", "subscription_exists", "checkout_in_progress"}
        assert_places_taken(voucher, 1)
        assert_sound(shop.organization.pk)


def test_one_voucher_in_eight_tabs_of_the_card_page_is_granted_once(shop: Shop) -> None:
    assert shop.standin is not None
    for number in range(3):
        place = shop.with_customer(f"company-{number}")
        voucher = place.voucher()

        outcomes = race([partial(buy, place.calls(), place.code(voucher)) for _ in range(TABS)])
        sweep()

        assert set(outcomes) <= {"201", "checkout_in_progress", "payment_processor_unavailable"}
        assert outcomes["201"] >= 1, outcomes
        assert_places_taken(voucher, 1)
        assert_sound(place.organization.pk, shop.standin)
        customers = shop.standin.all("customer", email=place.buyer.email)
        payable = [row for row in shop.standin.sessions(status="open") if row["customer"] == customers[0]["id"]]
        assert (len(customers), len(payable)) == (1, 1)


# --- the controls: the same crowd, and the guard taken away -----------------------------------------------------------
@pytest.mark.breaks_invariants
def test_control_without_the_condition_and_the_cap_all_twelve_win(shops: list[Shop]) -> None:
    voucher = shops[0].voucher(60_000, max_redemptions=USES)
    code = shops[0].code(voucher)
    all_have_looked = Barrier(ORGANIZATIONS)

    def take_place(voucher: Voucher, *, column: str) -> None:
        all_have_looked.wait(30)
        execute(f"UPDATE billing_voucher SET {column} = {column} + 1 WHERE id = %s", [voucher.pk], prepared=True)

    with (
        without_constraint("billing_voucher", "voucher_cap"),
        mock.patch.object(checkout_reserve, "take_place", take_place),
    ):
        outcomes = race([partial(buy_by_service, shop, code) for shop in shops])
        voucher.refresh_from_db()

    assert outcomes == {"completed": ORGANIZATIONS}
    assert voucher.redeemed_count == ORGANIZATIONS > USES


def test_control_without_the_condition_alone_the_cap_refuses(shops: list[Shop]) -> None:
    """Only the check of the database is left: no sale too many, but an error instead of an answer."""
    voucher = shops[0].voucher(60_000, max_redemptions=USES)
    code = shops[0].code(voucher)

    def take_place(voucher: Voucher, *, column: str) -> None:
        execute(f"UPDATE billing_voucher SET {column} = {column} + 1 WHERE id = %s", [voucher.pk], prepared=True)

    with mock.patch.object(checkout_reserve, "take_place", take_place):
        outcomes = race([partial(buy_by_service, shop, code) for shop in shops])

    assert outcomes["completed"] == USES
    refused = [count for outcome, count in outcomes.items() if "IntegrityError" in outcome and "voucher_cap" in outcome]
    assert sum(refused) == ORGANIZATIONS - USES, outcomes
    assert_places_taken(voucher, USES)


def buy_by_service(shop: Shop, code: str) -> str:
    return start_checkout(request=shop.request(voucher_code=code), now=timezone.now()).state


def eight_tabs(redeem_naively: Callable[[], bool]) -> Counter[str]:
    return race([redeem_naively] * TABS)


def test_control_without_the_slot_all_eight_tabs_win() -> None:
    """Look for an earlier redemption, then write one: what a check in the program alone is worth."""
    with scratch_table("organization int, voucher int"):
        all_have_looked = Barrier(TABS)

        def redeem_naively() -> bool:
            used = fetch_one("SELECT FROM scratch WHERE organization = 1 AND voucher = 1") is not None
            all_have_looked.wait(30)
            return not used and execute("INSERT INTO scratch VALUES (1, 1)") == 1

        outcomes = eight_tabs(redeem_naively)

    assert outcomes == {"True": TABS}


def test_control_with_the_slot_one_tab_wins() -> None:
    with scratch_table("organization int, voucher int, UNIQUE (organization, voucher)"):
        all_have_looked = Barrier(TABS)

        def redeem_with_slot() -> bool:
            used = fetch_one("SELECT FROM scratch WHERE organization = 1 AND voucher = 1") is not None
            all_have_looked.wait(30)
            return not used and execute("INSERT INTO scratch VALUES (1, 1) ON CONFLICT DO NOTHING") == 1

        outcomes = eight_tabs(redeem_with_slot)

    assert outcomes == {"True": 1, "False": TABS - 1}
