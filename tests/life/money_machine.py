"""Two customers do anything in any order, on a machine that dies; after each act every amount is the model's.

The rules call what pages, API and admin call. After trouble the model accepts that an act happened, that it did not, or
one of its committed halves; which one is read from the world, and then all numbers must follow.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import timedelta
from typing import Any, ClassVar

from django.db import DatabaseError
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from billing.services.checkout import cancel_checkout
from billing.services.checkout_types import Selection
from billing.services.psp import ProcessorUnavailable
from billing.services.refunds import refund_invoice
from billing.services.subscription_changes import ChangeCommand, ChangeSelection, request_change
from billing.services.subscriptions import cancel_subscription, resume_subscription
from billing.services.wallet import redeem_to_balance
from tests.life.bench import CALM, POST, Bench, Weather
from tests.life.model import Customer, Outcome, Right
from tests.life.outcomes import PAGE_LIVES, after, broken, changes, find, has_page, has_right, nothing, passed, wish
from tests.life.world import PLANS
from tests.stripe_standin import Fault

_SOON = timedelta(minutes=2)
#: Trouble takes that long to heal; nothing else may become due meanwhile.
_CLEAR = timedelta(minutes=65)
_FAULTS = (Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.ERROR_500, Fault.ERROR_503)

_beginnings = st.sampled_from(["", "from credit", "by card", "by card, with credit"])
_who = st.sampled_from("AB")
_plans = st.sampled_from(sorted(PLANS))
_amounts = st.sampled_from([4_990, 10_000, 25_005, 60_000, 200_000])
_codes = st.one_of(st.just(0), _amounts)
_calm = st.just(CALM)
_weather = st.one_of(
    _calm,
    _calm,
    st.builds(Weather, nth=st.integers(1, 6), is_late=st.booleans()),
    st.builds(Weather, fault=st.sampled_from(_FAULTS), skip=st.integers(0, 4), is_late=st.booleans()),
)
_post = st.sampled_from(POST)


class Differs(AssertionError):
    """The world is not what the model says, or an invariant is broken."""


class MoneyMachine(RuleBasedStateMachine):
    """``open_bench`` gives each example its own empty world."""

    open_bench: ClassVar[Callable[[], Bench]]
    #: What happened in all examples, for the test to see that none was idle.
    seen: ClassVar[Counter[str]]
    #: What was wrong, in the order in which it was found.
    wrong: ClassVar[list[str]]
    #: Nothing dies and nothing fails: many acts in little time.
    is_calm: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.bench = type(self).open_bench()
        self.model = {"A": Customer(), "B": Customer()}

    def teardown(self) -> None:
        self.bench.close()

    @initialize(first=_beginnings, second=_beginnings)
    def begin(self, first: str, second: str) -> None:
        """Let most customers have something to lose: a renewal needs a month, and chance rarely waits that long."""
        for who, beginning in (("A", first), ("B", second)):
            if beginning == "from credit":
                self.redeem(who, 60_000, CALM, "in order")
            if beginning:
                self.buy(who, "m", 0, CALM, "in order")
            if beginning.startswith("by card"):
                self.pay(who, CALM, "in order")
            if beginning == "by card, with credit":
                self.redeem(who, 25_005, CALM, "in order")

    # --- credit and purchases ---------------------------------------------------------------------------------------
    @rule(who=_who, amount=_amounts, weather=_weather, post=_post)
    def redeem(self, who: str, amount: int, weather: Weather, post: str) -> None:
        shop = self.bench.shops[who]
        code = self._code(who, amount)
        command: dict[str, Any] = {"organization": shop.organization, "sovereign": shop.sovereign, "actor": shop.buyer}
        self._do(
            who,
            lambda: redeem_to_balance(code=code, address="192.0.2.1", now=timezone.now(), **command),
            lambda mine: mine.redeem(amount, now=timezone.now()),
            weather=weather,
            post=post,
        )

    @rule(who=_who, plan=_plans, voucher=_codes, weather=_weather, post=_post)
    def buy(self, who: str, plan: str, voucher: int, weather: Weather, post: str) -> None:
        who = self._one(who, lambda mine: mine.right is None)
        if not who:
            return
        shop = self.bench.shops[who]
        code = self._code(who, voucher) if voucher else ""
        key = uuid.uuid4().hex

        def buys(mine: Customer) -> None:
            now = timezone.now()
            mine.lapse()
            mine.buy(plan, PLANS[plan], voucher, now=now, expires=now + PAGE_LIVES)

        self._do(
            who,
            lambda: shop.buy(selection=Selection(plan=plan, blueprints=()), voucher_code=code, key=key),
            buys,
            Customer.lapse,
            weather=weather,
            post=post,
        )

    @rule(who=_who, weather=_weather, post=_post)
    def pay(self, who: str, weather: Weather, post: str) -> None:
        who = self._one(who, has_page)
        if not who:
            return
        session = self._session(who)
        self._do(
            who,
            lambda: self.bench.standin.pay(session),
            lambda mine: mine.pay(now=timezone.now()),
            weather=Weather(weather.nth, weather.fault, weather.skip, is_late=True),
            post=post,
            is_certain=True,
        )

    @rule(who=_who, weather=_weather, post=_post)
    def expire(self, who: str, weather: Weather, post: str) -> None:
        who = self._one(who, has_page)
        if not who:
            return
        session = self._session(who)
        self._do(
            who,
            lambda: self.bench.standin.expire(session),
            Customer.lapse,
            weather=Weather(weather.nth, weather.fault, weather.skip, is_late=True),
            post=post,
            is_certain=True,
        )

    @rule(who=_who, weather=_weather, post=_post)
    def leave_page(self, who: str, weather: Weather, post: str) -> None:
        who = self._one(who, has_page)
        if not who:
            return
        page = self.bench.page(who)
        assert page is not None
        act = lambda: cancel_checkout(checkout=page, actor="customer", now=timezone.now())  # noqa: E731
        self._do(who, act, Customer.lapse, weather=weather, post=post)

    # --- the subscription -------------------------------------------------------------------------------------------
    @rule(who=_who, plan=_plans, voucher=_codes, weather=_weather, post=_post)
    def change(self, who: str, plan: str, voucher: int, weather: Weather, post: str) -> None:
        who = self._one(who, lambda mine: mine.right is not None and mine.right.plan != plan)
        if not who:
            return
        right = self._right(who)
        shop, subscription = self.bench.shops[who], self.bench.live(who)
        code = self._code(who, voucher) if voucher and PLANS[plan] > right.monthly else ""
        request = shop.request(selection=None, key=uuid.uuid4().hex, fingerprint=b"\0" * 32, voucher_code=code)
        command = ChangeCommand(subscription=subscription, selection=ChangeSelection(plan=plan), checkout=request)
        now = timezone.now()
        outcomes = changes(right, plan, voucher if code else 0)
        refused = right.state != "active" or right.ends
        self._do(
            who,
            lambda: request_change(command=command, now=now),
            *([nothing] if refused else outcomes),
            weather=weather,
            post=post,
            is_refused=refused,
        )

    @rule(who=_who, weather=_weather, post=_post)
    def end_with_period(self, who: str, weather: Weather, post: str) -> None:
        who = self._one(who, has_right)
        if not who:
            return
        subscription = self._subscription(who)
        self._do(
            who,
            lambda: cancel_subscription(
                subscription_id=subscription, at_once=False, actor="customer", reason="", now=timezone.now()
            ),
            wish(ends=True),
            weather=weather,
            post=post,
        )

    @rule(who=_who, weather=_weather, post=_post)
    def keep(self, who: str, weather: Weather, post: str) -> None:
        who = self._one(who, has_right)
        if not who:
            return
        subscription = self._subscription(who)
        self._do(
            who,
            lambda: resume_subscription(subscription_id=subscription, actor="customer", now=timezone.now()),
            wish(ends=False),
            weather=weather,
            post=post,
        )

    @rule(who=_who, weather=_weather, post=_post)
    def end_at_once(self, who: str, weather: Weather, post: str) -> None:
        who = self._one(who, has_right)
        if not who:
            return
        subscription, staff = self._subscription(who), self.bench.shops[who].staff
        self._do(
            who,
            lambda: cancel_subscription(
                subscription_id=subscription, at_once=True, actor=staff, reason="asked", now=timezone.now()
            ),
            Customer.end,
            weather=weather,
            post=post,
        )

    @rule(who=_who, number=st.integers(0, 5), part=st.sampled_from([0, 1_000, 12_340]), weather=_weather, post=_post)
    def refund(self, who: str, number: int, part: int, weather: Weather, post: str) -> None:
        invoices = self.bench.paid_invoices(who)
        if not invoices:
            return
        invoice = invoices[number % len(invoices)]
        back = (invoice.credit_refunded_minor, invoice.card_refunded_minor)
        facts = (invoice.state, invoice.total_minor, invoice.credit_minor, *back)
        until = invoice.period.upper if invoice.period else None
        staff, key = self.bench.shops[who].staff, uuid.uuid4().hex

        def refunds(mine: Customer) -> None:
            bill = find(mine, facts, until)
            mine.refund(bill, part or bill.left, now=timezone.now())

        left = find(self.model[who], facts, until).left
        is_refused = left < max(part, 1)
        self._do(
            who,
            lambda: refund_invoice(
                invoice_id=invoice.pk,
                amount_minor=part or None,
                reason="asked",
                actor=staff,
                now=timezone.now(),
                key=key,
            ),
            nothing if is_refused else refunds,
            weather=weather,
            post=post,
            is_refused=is_refused,
        )

    @rule(who=_who, works=st.booleans())
    def turn_card(self, who: str, works: bool) -> None:
        customer = self.bench.customer_id(who)
        if not customer:
            return
        (self.bench.standin.accept if works else self.bench.standin.decline)(customer)
        self.model[who].card_works = works

    # --- time -------------------------------------------------------------------------------------------------------
    @rule(hours=st.sampled_from([1, 6, 30, 80, 170]), weather=_weather, post=_post)
    def wait(self, hours: int, weather: Weather, post: str) -> None:
        self._wait_until(timezone.now() + timedelta(hours=hours), weather, post)

    @rule(who=_who, weather=_weather, post=_post)
    def reach_next_moment(self, who: str, weather: Weather, post: str) -> None:
        """Wait for the period to end, the card to be tried, a grace to be over: whatever comes first."""
        who = self._one(who, has_right)
        moments = self.model[who].money_moments() if who else []
        if not moments:
            return
        self._wait_until(min(moments) + _SOON, weather, post)

    def _wait_until(self, end: Any, weather: Weather, post: str) -> None:
        while (moment := self._next_moment()) is not None and moment + _SOON < end:
            self._land(moment + _SOON, weather, post)
        self._land(end, weather, post)

    def _land(self, moment: Any, weather: Weather, post: str) -> None:
        self.bench.clock.advance_to(moment)
        late = Weather(weather.nth, weather.fault, weather.skip, is_late=True)
        self.bench.settle(CALM if self.is_calm else late, "in order" if self.is_calm else post)
        self._compare({})

    def _next_moment(self) -> Any:
        moments = [mine.next_moment() for mine in self.model.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    def _clear_the_way(self) -> None:
        """Let pass what is due soon, so that it does not happen while trouble heals."""
        while soon := [
            moment
            for mine in self.model.values()
            for moment in mine.money_moments()
            if moment < timezone.now() + _CLEAR
        ]:
            self._wait_until(min(soon) + _SOON, CALM, "in order")

    # --- the comparison ---------------------------------------------------------------------------------------------
    def _do(
        self,
        who: str,
        act: Callable[[], object],
        *outcomes: Outcome,
        weather: Weather,
        post: str,
        is_refused: bool = False,
        is_certain: bool = False,
    ) -> None:
        """Act, let the machinery come round, and compare; the first outcome is what happens without trouble."""
        weather = CALM if self.is_calm else weather
        is_calm = weather.is_calm
        if not is_calm:
            self._clear_the_way()
        try:
            went = self.bench.attempt(act, weather)
        except DatabaseError as error:
            self.wrong.append(f"refused by the database: {error}")
            raise
        if not went and isinstance(self.bench.refusal, ProcessorUnavailable):
            # A slow machine runs out of the time that a request has: that is trouble of its own.
            weather = Weather(nth=99)
            is_calm = False
        elif is_calm or weather.is_late:
            assert went is not is_refused, f"refused: {self.bench.refusal!r}" if not went else "not refused"
        is_sure = is_calm or weather.is_late or is_certain
        candidates = [after(self.model[who], each) for each in (outcomes[:1] if is_sure else (*outcomes, nothing))]
        self._check(broken(safety_only=True))
        self.bench.settle(weather, "in order" if self.is_calm else post)
        self._compare({who: candidates})

    def _compare(self, candidates: dict[str, Sequence[Customer]]) -> None:
        """Find the outcome that the world shows; there must be one, for both customers."""
        self._check(broken(safety_only=False))
        now = timezone.now()
        for who, before in self.model.items():
            possible = [each for mine in candidates.get(who, [deepcopy(before)]) for each in passed(mine, now)]
            found = self.bench.facts(who)
            fitting = [mine for mine in possible if mine.facts() == found]
            if not fitting:
                expected = possible[0].facts()
                wrong = {name: (found[name], expected[name]) for name in found if found[name] != expected[name]}
                self._check([f"{who}: found and expected {name}: {each}" for name, each in wrong.items()])
            self._note(self.model[who], fitting[0])
            self.model[who] = fitting[0]
            self.bench.learn(who, fitting[0])

    def _code(self, who: str, amount: int) -> str:
        """Issue a Voucher that started a while ago: the clocks of Python and Postgres differ by some milliseconds."""
        shop = self.bench.shops[who]
        return shop.code(shop.voucher(amount, starts_at=timezone.now() - timedelta(hours=1)))

    def _check(self, wrong: list[str]) -> None:
        if wrong:
            self.wrong.extend(wrong)
            raise Differs("; ".join(wrong))

    def _note(self, before: Customer, after: Customer) -> None:
        self.seen["sale"] += after.rights - before.rights
        self.seen["page"] += after.page is not None and after.page is not before.page
        self.seen["renewal"] += after.paid("renewal") - before.paid("renewal")
        self.seen["change"] += after.paid("change") - before.paid("change")
        self.seen["refund"] += after.given_back - before.given_back > 0
        states = (before.right.state if before.right else "none", after.right.state if after.right else "none")
        if states[0] != states[1]:
            self.seen[" > ".join(states)] += 1

    def _one(self, who: str, can: Callable[[Customer], bool]) -> str:
        """Return who can do it, this customer rather than the other one, or nobody: then the step is idle.

        What Hypothesis draws depends on no state, so that a run can be replayed whatever the machine's speed.
        """
        return next((each for each in (who, *"AB") if can(self.model[each])), "")

    def _session(self, who: str) -> str:
        page = self.bench.page(who)
        return str(page and page.psp_session_id)

    def _right(self, who: str) -> Right:
        right = self.model[who].right
        assert right is not None
        return right

    def _subscription(self, who: str) -> int:
        return self.bench.live(who).pk
