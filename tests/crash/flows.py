"""Every way of money that the crash matrix walks, and the points that each comes by."""

from functools import partial

from tests.billing.shop import PLAN_MINOR
from tests.crash import acts
from tests.crash.matrix import Flow, Step, person, worker, world
from tests.crash.stage import Stage

_CUSTOMER = "checkout.C.before_call checkout.C.after_call_before_record"
_CHECKOUT = (
    "checkout.T1.in_tx checkout.T1.after_commit checkout.T2.in_tx checkout.T2.before_call"
    " checkout.T2.after_call_before_record"
)
_T5 = "checkout.T5.in_tx checkout.T5.after_commit"
_REFUND = (
    "refund.issue.in_tx refund.issue.after_commit refund.call.before_call refund.call.after_call_before_record"
    " refund.record.in_tx"
)
_TOLD = "subscription.call.before_call subscription.call.after_call_before_record"
_END = f"subscription.cancel.in_tx subscription.cancel.after_commit {_TOLD}"
_DRAFT = "renewal.card.reserve.in_tx renewal.card.reserve.after_commit"
_RESERVE = f"{_DRAFT} renewal.card.item.before_call"
_BOOK = "renewal.card.book.in_tx renewal.card.book.after_commit"
_RENEWAL = "renewal.credit.in_tx renewal.credit.after_commit"
_CARD = (
    "card.page.before_call card.page.after_call_before_record card.save.in_tx card.save.after_commit"
    " card.tell.before_call card.tell.after_call_before_record"
)
_ITEMS = "change.items.before_call change.items.after_call_before_record"

_period_ends = world(Stage.pass_period)
_hours_pass = world(partial(acts.later, hours=2))


def _flow(name: str, prepare: acts.Prepare, *steps: Step, walks: str) -> Flow:
    return Flow(name, prepare, steps, frozenset(walks.split()))


_SALES = (
    _flow(
        "sale by card",
        acts.with_code,
        *(person(acts.buy), world(acts.pay), worker(), worker()),
        walks=f"{_CUSTOMER} {_CHECKOUT} checkout.T3.in_tx checkout.T3.after_commit {_T5} invoice.issue.in_tx",
    ),
    _flow(
        "sale from credit",
        partial(acts.with_code, amount_minor=60_000),
        *(person(acts.buy), worker()),
        walks="checkout.T1T5.in_tx checkout.T1T5.after_commit invoice.issue.in_tx",
    ),
    _flow(
        "page left",
        acts.at_the_page,
        *(world(acts.expire), worker()),
        walks="checkout.T6.in_tx checkout.T6.after_commit",
    ),
    _flow(
        "undone",
        acts.with_lost_session,
        *(person(acts.buy, gives_up=True), worker()),
        walks=f"{_CUSTOMER} {_CHECKOUT} checkout.T4.in_tx checkout.T4.after_commit",
    ),
    _flow(
        "late money",
        acts.with_stray_page,
        *(world(acts.pay_stray), worker(), worker()),
        walks=f"refund.late.before_call refund.late.after_call_before_record {_TOLD}",
    ),
)
_CREDIT = (
    _flow(
        "wallet",
        acts.with_wallet_code,
        *(person(acts.redeem), person(acts.take_back), worker()),
        walks="redeem.wallet.in_tx reversal.post.in_tx",
    ),
    _flow(
        "grant",
        lambda stage: None,
        *(person(acts.grant), person(acts.agree), person(acts.take_grant_back), worker()),
        walks="grant.post.in_tx reversal.post.in_tx",
    ),
    _flow(
        "renewal from credit",
        partial(acts.sold_from_credit, left_minor=PLAN_MINOR),
        *(_period_ends, worker(), worker()),
        walks=_RENEWAL,
    ),
    _flow(
        "debt",
        acts.sold_from_credit,
        *(_period_ends, worker(), person(acts.redeem), worker(), worker()),
        walks=f"redeem.wallet.in_tx {_RENEWAL}",
    ),
    _flow(
        "dunning",
        acts.sold_from_credit,
        *(_period_ends, worker(), world(partial(acts.later, days=8)), worker()),
        *(world(partial(acts.later, days=31)), worker()),
        walks=f"{_RENEWAL} dunning.grace.in_tx dunning.grace.after_commit",
    ),
)
_CARD_RENEWALS = (
    _flow(
        "renewal by card",
        acts.card_and_credit,
        *(_period_ends, worker(), _hours_pass, worker(), worker()),
        walks=f"{_RESERVE} renewal.card.item.after_call_before_record {_BOOK}",
    ),
    _flow(
        "renewal by a lost card",
        acts.with_draft_and_lost_card,
        *(_hours_pass, worker(), world(acts.find_card), worker(), worker()),
        walks=f"renewal.card.reserve.after_commit renewal.card.failure.in_tx {_BOOK}",
    ),
    _flow(
        "bill voided",
        acts.with_draft,
        *(world(acts.void_bill), worker(), worker()),
        walks="renewal.card.drop.in_tx",
    ),
    _flow(
        "line refused",
        acts.card_and_credit,
        *(world(acts.refuse_lines), worker(), _hours_pass, worker()),
        walks=f"{_RESERVE} renewal.card.withdraw.in_tx {_BOOK}",
    ),
)
_MONEY_BACK = (
    _flow("refund", acts.sold_by_card, *(person(acts.refund), worker()), walks=f"{_REFUND} {_TOLD}"),
    _flow(
        "part refund",
        acts.sold_by_card,
        *(person(partial(acts.refund, amount_minor=5_000)), worker()),
        walks=_REFUND,
    ),
    _flow(
        "refund refused",
        acts.sold_and_no_money_to_return,
        *(person(acts.refund), worker()),
        walks=f"refund.issue.in_tx refund.issue.after_commit refund.call.before_call refund.fail.in_tx {_TOLD}",
    ),
    _flow(
        "dispute",
        acts.sold_by_card,
        *(world(acts.complain), worker(), world(acts.lose_dispute), worker(), worker()),
        walks=f"dispute.record.in_tx dispute.record.after_commit {_TOLD}",
    ),
)
_LIFE = (
    _flow(
        "end",
        acts.sold_by_card,
        *(person(partial(acts.end, at_once=False)), person(acts.stay), person(partial(acts.end, at_once=True))),
        worker(),
        walks=_END,
    ),
    _flow(
        "end of the period",
        acts.sold_by_card,
        *(person(partial(acts.end, at_once=False)), _period_ends, worker()),
        walks=_END,
    ),
    _flow(
        "change by card",
        partial(acts.in_mid_period, by_card=True),
        *(person(partial(acts.ask, selection=acts.UP, key="change-up-once")), world(acts.pay), worker()),
        *(world(partial(acts.later, minutes=2)), worker()),
        walks=f"{_CHECKOUT} checkout.T3.in_tx checkout.T3.after_commit {_T5} {_ITEMS} invoice.issue.in_tx",
    ),
    _flow(
        "change from credit",
        partial(acts.in_mid_period, by_card=False, left_minor=PLAN_MINOR),
        *(person(partial(acts.ask, selection=acts.UP, key="change-up-once")), worker()),
        walks="checkout.T1T5.in_tx checkout.T1T5.after_commit invoice.issue.in_tx",
    ),
    _flow(
        "change later",
        partial(acts.in_mid_period, by_card=True),
        *(person(partial(acts.ask, selection=acts.DOWN, key="change-down-once")), person(acts.forget)),
        *(person(partial(acts.ask, selection=acts.DOWN, key="change-down-again")), worker()),
        *(_period_ends, worker(), _hours_pass, worker()),
        walks=f"change.schedule.in_tx change.schedule.after_commit change.drop.in_tx {_ITEMS} {_DRAFT} {_BOOK}",
    ),
    _flow(
        "card for credit",
        acts.sold_from_credit,
        *(person(acts.open_card_page), world(acts.add_card), worker(), worker()),
        walks=f"{_CARD} card.adopt.before_call card.adopt.after_call_before_record card.adopt.in_tx"
        " card.adopt.after_commit",
    ),
    _flow(
        "another card",
        acts.sold_by_card,
        *(person(acts.open_card_page), world(acts.add_card), worker(), person(acts.look_at_receipts)),
        walks=_CARD,
    ),
)
FLOWS = (*_SALES, *_CREDIT, *_CARD_RENEWALS, *_MONEY_BACK, *_LIFE)
