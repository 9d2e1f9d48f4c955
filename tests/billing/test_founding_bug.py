"""The founding bug: whatever fails before the hand-over, nothing is used up and the same code works at once."""

from typing import Any

import pytest
from django.utils import timezone

from billing.models import BillingSettings, PspCall, Voucher
from billing.services.checkout_sweep import sweep_psp_calls
from billing.services.psp import ProcessorNotConfigured, ProcessorRejected, ProcessorUnavailable
from catalyst.core.database import execute
from tests.billing.shop import VOUCHER_MINOR, Books, Shop, books
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)


def assert_code_works(shop: Shop, voucher: Voucher) -> None:
    """The same code buys: it is granted once, and the shopper has a card page for the rest."""
    assert shop.standin is not None
    outcome = shop.buy(voucher_code=shop.code(voucher))
    assert outcome.state == "awaiting_payment"
    after = books(shop, voucher)
    assert after.entries == [("voucher_grant", VOUCHER_MINOR)]
    assert (after.posted, after.held) == (VOUCHER_MINOR, VOUCHER_MINOR)
    assert (after.reserved_count, after.redeemed_count) == (0, 1)
    payable = [session for session in shop.standin.sessions(status="open") if session["url"] == outcome.session_url]
    assert [session["amount_total"] for session in payable] == [40_000]


def untouched(before: Books) -> Books:
    return Books(before.posted, before.held, [], [], [], [], 0, 0)


def test_missing_processor_refuses_before_anything_is_reserved(
    shop_without_processor: Shop, stripe_standin: Any, settings: Any
) -> None:
    shop = shop_without_processor
    voucher = shop.voucher()
    before = books(shop, voucher)

    with pytest.raises(ProcessorNotConfigured) as refusal:
        shop.buy(voucher_code=shop.code(voucher))

    assert (refusal.value.code, refusal.value.status) == ("payment_processor_not_configured", 503)
    assert books(shop, voucher) == before == untouched(before)
    settings.STRIPE_API_BASE, shop.standin = stripe_standin.url, stripe_standin
    shop.configure_processor()
    assert_code_works(shop, voucher)


def test_unreadable_settings_refuse_before_anything_is_reserved(shop: Shop) -> None:
    voucher = shop.voucher()
    before = books(shop, voucher)
    BillingSettings.objects.update(stripe_secret_key_sealed="v1:00000000:AAAA:AAAA")

    with pytest.raises(ProcessorNotConfigured):
        shop.buy(voucher_code=shop.code(voucher))

    assert books(shop, voucher) == before
    shop.configure_processor()
    assert_code_works(shop, voucher)


@pytest.mark.parametrize("operation", ["customers.create", "coupons.create", "checkout.sessions.create"])
def test_a_rejected_call_gives_everything_back(shop: Shop, operation: str) -> None:
    voucher = shop.voucher()
    assert shop.standin is not None
    shop.standin.script(operation, Fault.ERROR_400)

    with pytest.raises(ProcessorRejected) as refusal:
        shop.buy(voucher_code=shop.code(voucher))

    assert (refusal.value.code, refusal.value.status) == ("payment_processor_rejected", 502)
    after = books(shop, voucher)
    assert (after.redemptions, after.orders, after.checkouts) == (["released"], ["cancelled"], ["compensated"])
    assert (after.entries, after.held, after.reserved_count, after.redeemed_count) == ([], 0, 0, 0)
    assert_code_works(shop, voucher)


def test_a_revoked_key_gives_everything_back(shop: Shop) -> None:
    voucher = shop.voucher()
    assert shop.standin is not None
    shop.standin.keys.clear()

    with pytest.raises(ProcessorNotConfigured):
        shop.buy(voucher_code=shop.code(voucher))

    assert books(shop, voucher).redemptions == ["released"]
    shop.standin.keys.add("sk_test_standin")
    assert_code_works(shop, voucher)


def test_a_reply_lost_once_still_reaches_the_one_session(shop: Shop) -> None:
    voucher = shop.voucher()
    assert shop.standin is not None
    shop.standin.script("checkout.sessions.create", Fault.DROP_AFTER)

    outcome = shop.buy(voucher_code=shop.code(voucher))

    assert outcome.state == "awaiting_payment"
    assert shop.standin.calls.effect_count("checkout.sessions.create") == 1
    assert [session["url"] for session in shop.standin.sessions(status="open")] == [outcome.session_url]


def test_a_reply_lost_for_good_frees_the_code_and_the_cleaner_expires_the_stray(shop: Shop) -> None:
    voucher = shop.voucher()
    assert shop.standin is not None
    shop.standin.script("checkout.sessions.create", Fault.DROP_AFTER, times=2)

    with pytest.raises(ProcessorUnavailable) as refusal:
        shop.buy(voucher_code=shop.code(voucher))

    assert (refusal.value.code, refusal.value.status) == ("payment_processor_unavailable", 503)
    after = books(shop, voucher)
    assert (after.redemptions, after.checkouts, after.entries) == (["released"], ["compensated"], [])
    stray = shop.standin.sessions(status="open")
    assert len(stray) == 1
    execute("UPDATE billing_pspcall SET next_action_at = now()")
    sweep_psp_calls(now=timezone.now())
    assert shop.standin.get("checkout.session", stray[0]["id"])["status"] == "expired"
    assert PspCall.objects.get(op="session.create").state == "voided"
    assert_code_works(shop, voucher)
