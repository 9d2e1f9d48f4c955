"""A dispute freezes the account until it is decided; lost, it ends what the money was for."""

from typing import Any

import pytest
from django.utils import timezone

from billing.models import Account, Dispute
from billing.services.disputes import AccountNotFrozen, DisputeOpen, follow_dispute, unfreeze_account
from billing.services.invoices import RefundExceedsPayment
from billing.services.psp import get_processor
from billing.services.reasons import ReasonRequired
from billing.tasks.refunds import sweep_disputes_task
from catalyst.core.models import Incident, Outbox
from tenancy.models import AuditEntry
from tests.billing.shop import VOUCHER_MINOR, Shop
from tests.billing.sold import CARD_MINOR, Sold, sell
from tests.conftest import owner_connection
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sold(shop: Shop) -> Sold:
    return sell(shop)


def disputed(sold: Sold) -> str:
    (charge,) = sold.standin.all("charge")
    return str(sold.standin.dispute(charge["id"])["id"])


def follow(dispute_id: str, times: int = 1) -> None:
    for _ in range(times):
        assert follow_dispute(get_processor(), dispute_id, actor="webhook", now=timezone.now())


def is_frozen(sold: Sold) -> bool:
    return Account.objects.get(pk=sold.organization_id).frozen_at is not None


def facts(sold: Sold) -> dict[str, Any]:
    sold.invoice.refresh_from_db()
    return {
        "frozen": is_frozen(sold),
        "disputes": list(Dispute.objects.order_by("id").values_list("state", "amount_minor")),
        "lost": sold.invoice.card_disputed_minor,
        "subscriptions": sold.state()["subscriptions"],
        "orders": sold.state()["orders"],
    }


def unfreeze(sold: Sold, reason: str = "The customer paid by transfer") -> None:
    unfreeze_account(organization_id=sold.organization_id, reason=reason, actor=sold.shop.staff, now=timezone.now())


def test_a_new_dispute_freezes_the_account_and_calls_a_person(sold: Sold) -> None:
    follow(disputed(sold), times=2)

    assert facts(sold) == {
        "frozen": True,
        "disputes": [("open", CARD_MINOR)],
        "lost": 0,
        "subscriptions": ["active"],
        "orders": ["paid"],
    }
    assert Dispute.objects.get().invoice == sold.invoice
    assert Incident.objects.get().kind == "dispute"
    assert AuditEntry.objects.filter(action="dispute.opened").count() == 1
    assert Outbox.objects.filter(topic="dispute.opened").count() == 1


def test_a_frozen_account_spends_nothing_and_takes_no_codes(sold: Sold) -> None:
    follow(disputed(sold))
    code = sold.shop.code(sold.shop.voucher(60_000))

    answer = sold.purchase.calls.post("vouchers/redeem/", {"code": code})

    assert answer.status_code == 410
    assert sold.purchase.books().posted == 0


@pytest.mark.parametrize("status", ["won", "warning_closed", "prevented"])
def test_a_dispute_that_is_won_lets_the_account_go(sold: Sold, status: str) -> None:
    dispute = disputed(sold)
    follow(dispute)
    sold.standin.close_dispute(dispute, won=True)
    sold.standin.tamper("dispute", dispute, status=status)

    follow(dispute, times=2)

    assert facts(sold) == {
        "frozen": False,
        "disputes": [("won", CARD_MINOR)],
        "lost": 0,
        "subscriptions": ["active"],
        "orders": ["paid"],
    }
    assert Outbox.objects.filter(topic="dispute.closed").count() == 1


@pytest.mark.parametrize("seen_open", [True, False])
def test_a_dispute_that_is_lost_ends_the_subscription_and_the_account_stays_frozen(sold: Sold, seen_open: bool) -> None:
    """The closing event may come first, or alone."""
    dispute = disputed(sold)
    if seen_open:
        follow(dispute)
    sold.standin.close_dispute(dispute, won=False)

    follow(dispute, times=3)

    assert facts(sold) == {
        "frozen": True,
        "disputes": [("lost", CARD_MINOR)],
        "lost": CARD_MINOR,
        "subscriptions": ["canceled"],
        "orders": ["paid"],
    }
    assert [row["status"] for row in sold.standin.all("subscription")] == ["canceled"]
    # The ledger is about credit: the card's money never was in it.
    assert sold.purchase.books().posted == 0


def test_no_webhook_is_needed(sold: Sold) -> None:
    dispute = disputed(sold)
    sweep_disputes_task()
    assert facts(sold)["disputes"] == [("open", CARD_MINOR)]
    sold.standin.close_dispute(dispute, won=False)

    sweep_disputes_task()
    sweep_disputes_task()

    assert facts(sold)["disputes"] == [("lost", CARD_MINOR)]
    assert facts(sold)["lost"] == CARD_MINOR


@pytest.mark.parametrize(
    "status",
    [
        *("needs_response", "under_review", "warning_needs_response", "warning_under_review"),
        *("appeal_needs_response", "appeal_under_review", "a_state_of_tomorrow"),
    ],
)
def test_whatever_is_not_decided_keeps_the_account_frozen(sold: Sold, status: str) -> None:
    dispute = disputed(sold)
    sold.standin.tamper("dispute", dispute, status=status)

    follow(dispute, times=2)

    assert (facts(sold)["frozen"], facts(sold)["disputes"]) == (True, [("open", CARD_MINOR)])


@pytest.mark.parametrize("fault", [Fault.ERROR_400, Fault.ERROR_503])
def test_a_dispute_that_cannot_be_read_keeps_no_other_waiting(shop: Shop, fault: Fault) -> None:
    first, second = sell(shop, "first"), sell(shop, "second")
    for charge in first.standin.all("charge"):
        first.standin.dispute(charge["id"])
    refused, other = sorted(row["id"] for row in first.standin.all("dispute"))
    first.standin.script("disputes.retrieve", fault)

    sweep_disputes_task()

    assert list(Dispute.objects.values_list("psp_dispute_id", flat=True)) == [other]
    assert sorted([is_frozen(first), is_frozen(second)]) == [False, True]
    sweep_disputes_task()
    assert {row.psp_dispute_id for row in Dispute.objects.all()} == {refused, other}


def test_the_known_disputes_are_followed_when_the_new_ones_cannot_be_listed(sold: Sold) -> None:
    dispute = disputed(sold)
    follow(dispute)
    sold.standin.close_dispute(dispute, won=True)
    sold.standin.script("disputes.list", Fault.ERROR_400, times=None)

    sweep_disputes_task()

    assert facts(sold)["disputes"] == [("won", CARD_MINOR)]


def test_a_dispute_that_was_won_before_we_saw_it_freezes_nothing(sold: Sold) -> None:
    dispute = disputed(sold)
    sold.standin.close_dispute(dispute, won=True)

    follow(dispute)

    assert (facts(sold)["frozen"], facts(sold)["disputes"]) == (False, [("won", CARD_MINOR)])


def test_staff_unfreeze_with_a_reason_after_the_loss(sold: Sold) -> None:
    dispute = disputed(sold)
    sold.standin.close_dispute(dispute, won=False)
    follow(dispute)

    with pytest.raises(ReasonRequired):
        unfreeze(sold, reason=" ")
    assert is_frozen(sold)
    unfreeze(sold)

    assert not is_frozen(sold)
    (row,) = AuditEntry.objects.filter(action="account.unfrozen")
    assert (row.actor, row.detail) == (f"user:{sold.shop.staff.uuid}", {"reason": "The customer paid by transfer"})
    with pytest.raises(AccountNotFrozen):
        unfreeze(sold)
    follow(dispute)
    assert not is_frozen(sold)


def test_nobody_unfreezes_while_a_dispute_is_open(sold: Sold) -> None:
    follow(disputed(sold))

    with pytest.raises(DisputeOpen):
        unfreeze(sold)

    assert is_frozen(sold)
    assert AuditEntry.objects.filter(action="account.unfrozen").count() == 0


def test_what_is_disputed_cannot_be_refunded_to_the_card(sold: Sold) -> None:
    """A refund now and a lost dispute later would pay the same money twice."""
    follow(disputed(sold))
    before = sold.state()

    with pytest.raises(RefundExceedsPayment):
        sold.refund(VOUCHER_MINOR + 10)

    assert sold.state() == before
    assert sold.refund(VOUCHER_MINOR).credit_minor == VOUCHER_MINOR


def test_refund_and_lost_dispute_together_never_exceed_the_charge(sold: Sold) -> None:
    """A cardholder who was refunded and wins a dispute over the whole has had too much: the Sovereign claims it."""
    sold.refund(5_000)
    dispute = disputed(sold)
    sold.standin.tamper("dispute", dispute, amount=CARD_MINOR)
    sold.standin.close_dispute(dispute, won=False)

    follow(dispute)

    sold.invoice.refresh_from_db()
    assert (sold.invoice.card_refunded_minor, sold.invoice.card_disputed_minor) == (5_000, CARD_MINOR - 5_000)
    assert "5000 minor units were refunded before" in Incident.objects.get().detail


def test_a_dispute_of_somebody_elses_payment_is_not_ours(sold: Sold) -> None:
    dispute = disputed(sold)
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE billing_account SET psp_customer_id = psp_customer_id || '_other'")

    assert follow_dispute(get_processor(), dispute, actor="webhook", now=timezone.now()) is False

    assert facts(sold)["disputes"] == []
    assert not is_frozen(sold)


@pytest.mark.parametrize("order", ["12", "21", "1122", "2112", "2211", "1212"])
def test_two_disputes_end_alike_in_any_order(shop: Shop, order: str) -> None:
    """One lost and one won: the account stays frozen whichever is seen first."""
    sold = sell(shop)
    assert sold.purchase.calls.buy(environment="dev").status_code == 201
    session = sold.standin.sessions(status="open")[0]["id"]
    sold.standin.pay(session)
    ids = [str(sold.standin.dispute(charge["id"])["id"]) for charge in sold.standin.all("charge")]
    ordered = dict(zip("12", sorted(ids), strict=True))
    follow(ordered["1"])
    follow(ordered["2"])
    lost = Dispute.objects.get(invoice=sold.invoice).psp_dispute_id
    for dispute in ids:
        sold.standin.close_dispute(dispute, won=dispute != lost)

    for name in order:
        follow(ordered[name])

    assert is_frozen(sold)
    assert sorted(Dispute.objects.values_list("state", flat=True)) == ["lost", "won"]
