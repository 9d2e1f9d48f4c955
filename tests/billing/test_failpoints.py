"""Every failpoint of the money flows is reached by a plain run, so none of the crash tests kills at thin air."""

import ast
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from billing.services.credit_grants import request_grant
from billing.services.credit_reversals import reverse_grant
from billing.services.disputes import follow_dispute
from billing.services.psp import get_processor
from catalyst.core import failpoints
from catalyst.core.failpoints import REGISTRY, armed, crash, fp
from catalyst.core.money import Money
from tests.billing.killed import Purchase, make_purchase, sweep
from tests.billing.shop import Shop
from tests.billing.sold import sell
from tests.stripe_standin import Fault, StripeStandIn

ROOT = Path(__file__).resolve().parents[2]
FLOWS = ("checkout.", "refund.", "redeem.", "dispute.", "grant.", "reversal.", "invoice.")


def _session_of(purchase: Purchase) -> str:
    return str(purchase.checkouts()[0].psp_session_id)


def buy_by_card(shop: Shop, standin: StripeStandIn) -> None:
    paid, abandoned = make_purchase(shop, "payer"), make_purchase(shop, "leaver")
    paid.buy()
    abandoned.buy()
    standin.pay(_session_of(paid))
    standin.expire(_session_of(abandoned))
    sweep()


def buy_from_credit(shop: Shop, standin: StripeStandIn) -> None:
    make_purchase(shop, "saver", 60_000).buy()
    collector = make_purchase(shop, "collector")
    collector.calls.post("vouchers/redeem/", {"code": shop.code(collector.voucher)})


def fail_and_be_paid_late(shop: Shop, standin: StripeStandIn) -> None:
    unlucky = make_purchase(shop, "unlucky")
    standin.script("checkout.sessions.create", Fault.DROP_AFTER, times=2)
    unlucky.buy()
    (stray,) = standin.sessions(status="open")
    standin.pay(stray["id"])
    body, headers = standin.signed(standin.events("checkout.session.completed")[-1])
    unlucky.calls.http.post("/webhooks/stripe/", body, headers=headers, content_type="application/json")
    sweep()


def refund_and_dispute(shop: Shop, standin: StripeStandIn) -> None:
    refunded, refused, _disputed = (sell(shop, slug) for slug in ("refunded", "refused", "disputed"))
    refunded.refund(None)
    standin.script("refunds.create", Fault.ERROR_402)
    refused.refund(None)
    dispute = standin.dispute(standin.all("charge")[-1]["id"])
    follow_dispute(get_processor(), str(dispute["id"]), actor="webhook", now=timezone.now())


def give_credit_and_take_it_back(shop: Shop) -> None:
    grant = request_grant(
        organization=shop.organization,
        amount=Money(1_000, "OMR"),
        reason="The outage",
        actor=shop.staff,
        now=timezone.now(),
        key="give-once",
    )
    reverse_grant(grant_id=grant.pk, reason="Wrong customer", actor=shop.staff, now=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_a_plain_run_reaches_every_point(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "hits", {})
    assert shop.standin is not None

    buy_by_card(shop, shop.standin)
    buy_from_credit(shop, shop.standin)
    fail_and_be_paid_late(shop, shop.standin)
    refund_and_dispute(shop, shop.standin)
    give_credit_and_take_it_back(shop)

    wanted = {name for name in REGISTRY if name.startswith(FLOWS)}
    assert sorted(wanted - set(failpoints.hits)) == []


def test_a_point_in_the_code_is_registered() -> None:
    """Literal names only; a name that is put together is refused when it is reached."""
    unknown = {
        f"{file.relative_to(ROOT)}: {node.args[0].value!r}"
        for app in ("billing", "marketplace", "tenancy", "catalyst")
        for file in sorted((ROOT / app).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "fp"
        if isinstance(node.args[0], ast.Constant) and node.args[0].value not in REGISTRY
    }

    assert unknown == set()


def test_an_unknown_point_is_refused() -> None:
    with pytest.raises(LookupError):
        fp("checkout.T9.in_tx")
    with pytest.raises(LookupError), armed("checkout.T9.in_tx", crash):
        pass


def test_outside_tests_a_point_does_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "hits", {})
    monkeypatch.setenv("CATALYST_FAILPOINT", "checkout.T1.in_tx=exit")
    settings.FAILPOINTS_ENABLED = False

    with armed("checkout.T1.in_tx", crash):
        fp("checkout.T1.in_tx")

    assert failpoints.hits == {}
