"""Credit by hand: one person up to the limit, two above it, one entry however often somebody presses."""

import uuid
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from billing.models import BillingSettings, CreditGrant, LedgerEntry
from billing.services.credit_grants import (
    GrantDecided,
    GrantInvalid,
    SecondPersonRequired,
    decide_grant,
    request_grant,
)
from billing.services.credit_reversals import CreditSpent, NothingToReverse, reverse_grant, reverse_redemption
from billing.services.reasons import ReasonRequired
from catalyst.core.database import execute, fetch_one, use_case
from catalyst.core.errors import DomainError, NotFound
from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.models import Outbox
from catalyst.core.money import Money
from tenancy.models import AuditEntry, User
from tests import factories
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop, books
from tests.crash.races import race, scratch_table

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT_MINOR = 50_000


@pytest.fixture
def second(shop_without_processor: Shop) -> User:
    return factories.UserFactory.create(email="second@example.com", staff_role=User.StaffRole.ADMIN)


def ask(shop: Shop, amount_minor: int, **changes: Any) -> CreditGrant:
    parts: dict[str, Any] = {
        "organization": shop.organization,
        "amount": Money(amount_minor, "OMR"),
        "reason": "The outage of Sunday",
        "actor": shop.staff,
        "now": timezone.now(),
        "key": uuid.uuid4().hex,
        **changes,
    }
    return request_grant(**parts)


def decide(grant: CreditGrant, actor: User, *, approve: bool = True) -> CreditGrant:
    return decide_grant(grant_id=grant.pk, approve=approve, actor=actor, now=timezone.now())


def actions() -> list[str]:
    return list(AuditEntry.objects.filter(action__startswith="credit.").order_by("id").values_list("action", flat=True))


def test_up_to_the_limit_one_person_is_enough(shop_without_processor: Shop) -> None:
    grant = ask(shop_without_processor, LIMIT_MINOR)

    assert (grant.state, grant.needs_second) == ("granted", False)
    assert books(shop_without_processor).entries == [("manual_grant", LIMIT_MINOR)]
    entry = LedgerEntry.objects.get(kind="manual_grant")
    assert (entry.counter_account, entry.idempotency_key, entry.seq) == (
        "promotion",
        f"grant:manual:{grant.pk}",
        grant.entry_seq,
    )
    assert Outbox.objects.get(topic="credit.granted").payload == {
        "grant": grant.pk,
        "organization": shop_without_processor.organization.pk,
        "amount": LIMIT_MINOR,
        "currency": "OMR",
    }
    assert actions() == ["credit.requested", "credit.granted"]


def test_above_it_nothing_happens_until_a_second_person_agrees(shop_without_processor: Shop, second: User) -> None:
    grant = ask(shop_without_processor, LIMIT_MINOR + 1)
    assert (grant.state, grant.needs_second) == ("requested", True)
    assert books(shop_without_processor).entries == []

    decide(grant, second)

    assert books(shop_without_processor).entries == [("manual_grant", LIMIT_MINOR + 1)]
    granted = AuditEntry.objects.get(action="credit.granted")
    assert granted.actor == f"user:{second.uuid}"
    assert granted.detail["requested_by"] == f"user:{shop_without_processor.staff.uuid}"


def test_the_limit_is_the_sovereigns(shop_without_processor: Shop) -> None:
    BillingSettings.objects.create(pk=1, grant_limit_minor=1_000)

    assert ask(shop_without_processor, 1_001).state == "requested"
    assert ask(shop_without_processor, 1_000).state == "granted"


def test_slices_of_one_person_count_together(shop_without_processor: Shop, second: User) -> None:
    ask(shop_without_processor, 30_000)

    assert ask(shop_without_processor, 30_000).state == "requested"
    assert ask(shop_without_processor, 30_000, actor=second).state == "granted"


def test_nobody_is_their_own_second_person(shop_without_processor: Shop) -> None:
    grant = ask(shop_without_processor, LIMIT_MINOR + 1)

    with pytest.raises(SecondPersonRequired):
        decide(grant, shop_without_processor.staff)

    assert books(shop_without_processor).entries == []
    assert CreditGrant.objects.get().state == "requested"


def test_the_database_refuses_it_as_well(shop_without_processor: Shop) -> None:
    """The grant cites an entry that exists, so that only the rule of two persons can refuse."""
    small, large = ask(shop_without_processor, 1_000), ask(shop_without_processor, LIMIT_MINOR + 1)

    with pytest.raises(IntegrityError, match="creditgrant_second_person"):
        execute(
            "UPDATE billing_creditgrant SET state = 'granted', decided_by_id = requested_by_id, decided_at = now(),"
            " entry_seq = %s WHERE id = %s",
            [small.entry_seq, large.pk],
        )


@pytest.mark.parametrize("by_second", [True, False])
def test_it_can_be_declined_or_withdrawn_and_then_is_decided(
    shop_without_processor: Shop, second: User, by_second: bool
) -> None:
    grant = ask(shop_without_processor, LIMIT_MINOR + 1)

    decide(grant, second if by_second else shop_without_processor.staff, approve=False)

    with pytest.raises(GrantDecided):
        decide(grant, second)
    assert books(shop_without_processor).entries == []
    assert actions() == ["credit.requested", "credit.declined"]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"reason": " "}, ReasonRequired),
        ({"amount": Money(0, "OMR")}, GrantInvalid),
        ({"amount": Money(-5, "OMR")}, GrantInvalid),
        ({"amount": Money(500, "USD")}, GrantInvalid),
    ],
)
def test_a_refusal_writes_nothing(
    shop_without_processor: Shop, changes: dict[str, Any], refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        ask(shop_without_processor, 1_000, **changes)

    assert (CreditGrant.objects.count(), actions()) == (0, [])
    assert books(shop_without_processor).entries == []


def test_a_double_click_is_one_grant(shop_without_processor: Shop) -> None:
    key = uuid.uuid4().hex

    outcomes = race([partial(_ask_with, shop_without_processor, key)] * 6)

    assert outcomes == {"granted": 6}
    assert books(shop_without_processor).entries == [("manual_grant", 1_000)]


def _ask_with(shop: Shop, key: str) -> str:
    return str(ask(shop, 1_000, key=key).state)


def test_two_approvers_at_once_make_one_entry(shop_without_processor: Shop, second: User) -> None:
    grant = ask(shop_without_processor, LIMIT_MINOR + 1)
    third = factories.UserFactory.create(email="third@example.com", staff_role=User.StaffRole.ADMIN)

    outcomes = race([partial(_approve, grant, second), partial(_approve, grant, third)] * 3)

    assert outcomes == {"granted": 1, "grant_decided": 5}
    assert books(shop_without_processor).entries == [("manual_grant", LIMIT_MINOR + 1)]


def _approve(grant: CreditGrant, actor: User) -> str:
    return str(decide(grant, actor).state)


@use_case
def approve_after_looking(both_have_looked: Barrier | None, lock: str) -> bool:
    row = fetch_one(f"SELECT state FROM scratch {lock}")
    if both_have_looked is not None:
        both_have_looked.wait(30)
    if row is None or row[0] != "requested":
        return False
    return execute("UPDATE scratch SET state = 'granted', entries = entries + 1") == 1


def test_control_without_the_lock_two_approvers_grant_twice() -> None:
    with scratch_table("state text, entries int", "'requested', 0"):
        outcomes = race([partial(approve_after_looking, Barrier(2), "")] * 2)
        row = fetch_one("SELECT entries FROM scratch")

    assert (outcomes, row) == ({"True": 2}, (2,))


def test_control_with_the_lock_one_grants() -> None:
    with scratch_table("state text, entries int", "'requested', 0"):
        outcomes = race([partial(approve_after_looking, None, "FOR NO KEY UPDATE")] * 2)
        row = fetch_one("SELECT entries FROM scratch")

    assert (outcomes, row) == ({"True": 1, "False": 1}, (1,))


def test_a_crash_before_the_commit_leaves_the_question_open(shop_without_processor: Shop, second: User) -> None:
    grant = ask(shop_without_processor, LIMIT_MINOR + 1)
    with armed("grant.post.in_tx", crash), pytest.raises(Crash):
        decide(grant, second)
    assert books(shop_without_processor).entries == []

    decide(grant, second)

    assert books(shop_without_processor).entries == [("manual_grant", LIMIT_MINOR + 1)]


# --- taking credit back --------------------------------------------------------------------------------------------
def test_credit_by_hand_is_taken_back_exactly_and_once(shop_without_processor: Shop) -> None:
    shop, grant = shop_without_processor, ask(shop_without_processor, 1_000)

    reverse_grant(grant_id=grant.pk, reason="Wrong customer", actor=shop.staff, now=timezone.now())

    assert books(shop).entries == [("manual_grant", 1_000), ("reversal", -1_000)]
    reversal = LedgerEntry.objects.get(kind="reversal")
    assert (reversal.reverses_seq, reversal.reverses_kind) == (grant.entry_seq, "manual_grant")
    with pytest.raises(NothingToReverse):
        reverse_grant(grant_id=grant.pk, reason="Again", actor=shop.staff, now=timezone.now())
    assert books(shop).posted == 0
    assert AuditEntry.objects.get(action="credit.reversed").detail["reason"] == "Wrong customer"


def test_a_vouchers_credit_is_taken_back_and_its_place_is_free(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    voucher = shop.voucher(max_redemptions=1)
    assert redeem(shop, shop.code(voucher)).status_code == 201
    redemption = shop.organization.billing_account.redemptions.get()

    reverse_redemption(redemption_id=redemption.pk, reason="Shared by mistake", actor=shop.staff, now=timezone.now())

    after = books(shop, voucher)
    assert after.entries == [("voucher_grant", VOUCHER_MINOR), ("reversal", -VOUCHER_MINOR)]
    assert (after.posted, after.redemptions, after.redeemed_count) == (0, ["reversed"], 0)
    with pytest.raises(NothingToReverse):
        reverse_redemption(redemption_id=redemption.pk, reason="Again", actor=shop.staff, now=timezone.now())
    assert redeem(shop, shop.code(voucher)).status_code == 201


def redeem(shop: Shop, code: str) -> Any:
    return shop.calls().post("vouchers/redeem/", {"code": code})


def test_spent_credit_is_not_taken_back(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    voucher = shop.voucher(PLAN_MINOR)
    shop.buy(voucher_code=shop.code(voucher))
    redemption = shop.organization.billing_account.redemptions.get()
    before = books(shop, voucher)

    with pytest.raises(CreditSpent):
        reverse_redemption(redemption_id=redemption.pk, reason="Too late", actor=shop.staff, now=timezone.now())

    assert books(shop, voucher) == before


def test_held_credit_is_not_taken_back(shop: Shop) -> None:
    """An open order counts on it."""
    grant = ask(shop, 1_000)
    shop.buy()
    before = books(shop)
    assert before.held == 1_000

    with pytest.raises(CreditSpent):
        reverse_grant(grant_id=grant.pk, reason="Too late", actor=shop.staff, now=timezone.now())

    assert books(shop) == before


def test_what_was_not_granted_cannot_be_taken_back(shop_without_processor: Shop) -> None:
    shop, grant = shop_without_processor, ask(shop_without_processor, LIMIT_MINOR + 1)

    with pytest.raises(NothingToReverse):
        reverse_grant(grant_id=grant.pk, reason="Nothing", actor=shop.staff, now=timezone.now())
    with pytest.raises(NotFound):
        reverse_grant(grant_id=grant.pk + 1, reason="Nobody", actor=shop.staff, now=timezone.now())
    with pytest.raises(NotFound):
        reverse_redemption(redemption_id=1, reason="Nobody", actor=shop.staff, now=timezone.now())
    with pytest.raises(ReasonRequired):
        reverse_grant(grant_id=grant.pk, reason="", actor=shop.staff, now=timezone.now())

    assert books(shop).entries == []


def test_a_spend_and_a_reversal_at_once_use_the_credit_once(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    grant = ask(shop, PLAN_MINOR)

    outcomes = race([partial(_buy, shop), partial(_take_back, shop, grant)])

    assert outcomes in ({"completed": 1, "credit_spent": 1}, {"payment_processor_not_configured": 1, "reversed": 1})
    assert books(shop).posted == 0


def _buy(shop: Shop) -> str:
    answer = shop.calls().buy()
    return str(answer.json().get("code") if answer.status_code >= 400 else answer.json()["state"])


def _take_back(shop: Shop, grant: CreditGrant) -> str:
    reverse_grant(grant_id=grant.pk, reason="Wrong customer", actor=shop.staff, now=timezone.now())
    return "reversed"
