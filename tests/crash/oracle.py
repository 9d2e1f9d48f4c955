"""What must be true after a crash and its recovery. Source: docs/checkout.md, "State machine"."""

from dataclasses import dataclass

from billing.models import Checkout, CreditHold, LedgerEntry, Redemption
from catalyst.core.invariants import check_invariants
from catalyst.core.models import Outbox
from tests.stripe_standin import StripeStandIn

_CLOSED_WITHOUT_SALE = frozenset({"compensated", "lapsed", "late_payment", "refunding", "refunded"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What exists of one checkout: the columns of the table "state and what exists"."""

    redemption: str
    granted: int
    held: int
    order: str
    spent: int
    sold_events: int


def facts_of(checkout: Checkout) -> Facts:
    """Read what exists of a checkout; ``redemption`` is empty when it took no place of a voucher."""
    redemption = Redemption.objects.filter(checkout=checkout).first()
    grants = LedgerEntry.objects.filter(redemption=redemption, kind="voucher_grant") if redemption else ()
    spends = LedgerEntry.objects.filter(order=checkout.order, kind="order_spend")
    holds = CreditHold.objects.filter(checkout=checkout, state="active")
    return Facts(
        redemption=redemption.state if redemption else "",
        granted=sum(entry.amount_minor for entry in grants),
        held=sum(hold.amount_minor for hold in holds),
        order=checkout.order.state,
        spent=-sum(entry.amount_minor for entry in spends),
        sold_events=Outbox.objects.filter(dedup_key=f"order.paid:{checkout.order.pk}").count(),
    )


def allowed_facts(checkout: Checkout) -> Facts:
    """Return the row of the table that the checkout's state demands."""
    redemption = Redemption.objects.filter(checkout=checkout).first()
    worth, credit = (redemption.grant_minor if redemption else 0), checkout.credit_minor
    used = "redeemed" if redemption else ""
    return {
        "reserved": Facts("reserved" if redemption else "", 0, max(credit - worth, 0), "pending_payment", 0, 0),
        "session_requested": Facts(
            "reserved" if redemption else "", 0, max(credit - worth, 0), "pending_payment", 0, 0
        ),
        "awaiting_payment": Facts(used, worth, credit, "pending_payment", 0, 0),
        "payment_processing": Facts(used, worth, credit, "pending_payment", 0, 0),
        "expiring": Facts(used, worth, credit, "pending_payment", 0, 0),
        "needs_review": Facts(used, worth, credit, "pending_payment", 0, 0),
        "completed": Facts(used, worth, 0, "paid", credit, 1),
        "compensated": Facts("released" if redemption else "", 0, 0, "cancelled", 0, 0),
        "lapsed": Facts(used, worth, 0, "cancelled", 0, 0),
    }[checkout.state]


def assert_sound(organization_id: int, standin: StripeStandIn | None = None) -> None:
    """Assert that everything of an Organization stands as its states demand, here and at the processor.

    Call when the cleaner has been round: until then a stray session of a dead checkout may still be open.
    """
    checkouts = list(Checkout.objects.filter(organization_id=organization_id).select_related("order"))
    for checkout in checkouts:
        assert facts_of(checkout) == allowed_facts(checkout), checkout.state
    # A code is used up by a purchase or not at all.
    assert Redemption.objects.filter(organization_id=organization_id, checkout=None).count() == 0
    assert [str(violation) for violation in check_invariants()] == []
    if standin is not None:
        for checkout in checkouts:
            _assert_sessions(checkout, standin)


def _assert_sessions(checkout: Checkout, standin: StripeStandIn) -> None:
    sessions = standin.sessions(client_reference_id=str(checkout.pk))
    payable = [session["id"] for session in sessions if session["status"] == "open"]
    paid = [session["id"] for session in sessions if session["payment_status"] == "paid"]
    assert standin.calls.effect_count("checkout.sessions.create", f"co:{checkout.pk}:session") <= 1
    assert len(sessions) <= 1
    if checkout.state in _CLOSED_WITHOUT_SALE:
        assert payable == []
        coupons = standin.all("coupon", id=f"co_{checkout.pk}")
        # One that a crash left behind dies with the session that it was made for.
        assert [row["id"] for row in coupons if row["redeem_by"] > standin.clock.now()] == []
    assert set(payable + paid) <= {checkout.psp_session_id}
