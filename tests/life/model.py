"""What one customer's money must be: a reference that shares no code with the program, only its published rules.

Amounts are minor units of OMR (the processor bills steps of 10, at least 200). The model says what and how much. When
a sale was made, a debt was noticed or a page expires it takes from the world: those moments are the clock's, not money.
Rules: docs/checkout.md, docs/subscriptions.md, docs/refunds.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dateutil.relativedelta import relativedelta

STEP, MINIMUM = 10, 200
DRAFT = timedelta(hours=1)
RETRIES = (timedelta(days=1), timedelta(days=3), timedelta(days=5), timedelta(days=7))
GRACE, PAUSE = timedelta(days=7), timedelta(days=30)
#: A debt is tried again every day without being asked; an hour is for the sweep.
PATIENCE = timedelta(hours=25)


def split(total: int, available: int) -> tuple[int, int]:
    """Return the parts of credit and card."""
    rest = total - min(total, max(available, 0))
    charge = -(-rest // STEP) * STEP
    if 0 < charge < MINIMUM:
        charge = MINIMUM
    return total - charge, charge


def price_of_rest(difference: int, start: datetime, end: datetime, now: datetime) -> int:
    """Return what a dearer subscription costs until ``end``."""
    whole = int((end - start).total_seconds())
    hours = max(int((end - now).total_seconds()) // 3600, 0)
    exact = difference * min(hours * 3600, whole) // whole
    price = exact // STEP * STEP
    return price if price >= MINIMUM else 0


def month_after(start: datetime, end: datetime) -> datetime:
    return end + relativedelta(months=1, day=max(start.day, end.day))


@dataclass
class Bill:
    """One invoice. ``until`` is the end of the period that it pays for; the invoice of a change has none."""

    kind: str
    total: int
    credit: int
    sold_by: int
    until: datetime | None = None
    state: str = "paid"
    credit_back: int = 0
    card_back: int = 0
    tries: list[datetime] = field(default_factory=list)

    @property
    def card_left(self) -> int:
        return self.total - self.credit - self.card_back

    @property
    def left(self) -> int:
        return self.card_left + self.credit - self.credit_back

    def facts(self) -> tuple[str, int, int, int, int]:
        return (self.state, self.total, self.credit, self.credit_back, self.card_back)


@dataclass
class Page:
    """A card page that somebody may still pay. ``change_from`` starts the period that a change is priced for."""

    plan: str
    monthly: int
    total: int
    credit: int
    expires: datetime
    change_from: datetime | None = None
    is_wanted: bool = True

    @property
    def charge(self) -> int:
        return self.total - self.credit


@dataclass
class Right:
    """A subscription."""

    number: int
    plan: str
    monthly: int
    by_card: bool
    start: datetime
    end: datetime
    state: str = "active"
    ends: bool = False
    later: tuple[str, int] | None = None
    #: When we noticed that the money does not come, and when we paused.
    owes_since: datetime | None = None
    paused_since: datetime | None = None
    #: Where the processor's own period ends; it bills on whether we are paid or not.
    billed_until: datetime | None = None


@dataclass
class Customer:
    """The money of one Organization, here and at the processor."""

    posted: int = 0
    held: int = 0
    captured: int = 0
    refunded: int = 0
    rights: int = 0
    bills: list[Bill] = field(default_factory=list)
    page: Page | None = None
    right: Right | None = None
    card_works: bool = True
    #: Since when credit would pay a debt that nobody was told to look at.
    could_pay_since: datetime | None = None

    @property
    def available(self) -> int:
        return self.posted - self.held

    @property
    def given_back(self) -> int:
        return sum(bill.card_back + bill.credit_back for bill in self.bills)

    def paid(self, kind: str) -> int:
        """Return how many bills of a kind are paid."""
        return sum(bill.kind == kind and bill.state == "paid" for bill in self.bills)

    # --- what people do ---------------------------------------------------------------------------------------------
    def redeem(self, amount: int, *, now: datetime) -> None:
        self.posted += amount
        self.pay_debts(now)

    def lapse(self) -> None:
        """Close the card page without money: what it held is free, what a code granted stays."""
        if self.page is not None:
            self.held -= self.page.credit
            self.page = None

    def buy(self, plan: str, price: int, voucher: int, *, now: datetime, expires: datetime) -> None:
        credit, charge = split(price, self.available + voucher)
        self.posted += voucher
        if charge:
            self.held += credit
            self.page = Page(plan, price, price, credit, expires)
        else:
            self.posted -= price
            self._begin(plan, price, by_card=False, now=now)
            self._add_first_bill(price, credit)

    def change(self, plan: str, monthly: int, price: int, voucher: int, *, expires: datetime) -> None:
        """Want a dearer Plan at once."""
        assert self.right is not None
        credit, charge = split(price, self.available + voucher)
        self.posted += voucher
        self.right.later = None
        if charge:
            self.held += credit
            self.page = Page(plan, monthly, price, credit, expires, change_from=self.right.start)
        else:
            self.posted -= price
            self.right.plan, self.right.monthly = plan, monthly
            self.bills.append(Bill("change", price, credit, self.right.number))

    def pay(self, *, now: datetime) -> None:
        """The money of the page arrives: it buys what it was for, or goes back."""
        page = self.page
        assert page is not None
        self.lapse()
        self.captured += page.charge
        if page.change_from is None:
            self.posted -= page.credit
            self._begin(page.plan, page.monthly, by_card=True, now=now)
            self._add_first_bill(page.total, page.credit)
        elif self._takes_change(page):
            assert self.right is not None
            self.posted -= page.credit
            self.right.plan, self.right.monthly = page.plan, page.monthly
            self.bills.append(Bill("change", page.total, page.credit, self.right.number))
        else:
            self.refunded += page.charge

    def refund(self, bill: Bill, amount: int, *, now: datetime) -> None:
        """Give back: the card first, the rest to credit; nobody keeps what they got their money back for."""
        card = min(amount, bill.card_left)
        bill.card_back += card
        bill.credit_back += amount - card
        self.refunded += card
        self.posted += amount - card
        right = self.right
        if bill.left == 0 and right is not None and self._stands_on(right, bill):
            self.end()
        self.pay_debts(now)

    def end(self) -> None:
        """The subscription is over: what is unpaid is given up, what was set aside for it is free."""
        for bill in self._unpaid():
            if self.right is not None and self.right.by_card:
                self.held -= bill.credit
            bill.state = "void" if bill.state == "draft" else "uncollectible"
        self.right = None
        if self.page is not None and self.page.change_from is not None:
            self.page.is_wanted = False

    # --- what time does ---------------------------------------------------------------------------------------------
    def next_moment(self) -> datetime | None:
        """Return when the clock does something to this customer next, by itself."""
        return min([*self.money_moments(), *([self.page.expires] if self.page else [])], default=None)

    def money_moments(self) -> list[datetime]:
        right = self.right
        if right is None:
            return []
        moments = [moment for bill in self._unpaid() for moment in bill.tries[:1]]
        if right.by_card and right.billed_until is not None:
            moments.append(right.billed_until)
        elif right.state == "active":
            moments.append(right.end)
        if right.state == "past_due" and right.owes_since is not None:
            moments.append(right.owes_since + GRACE)
        if right.state == "suspended" and right.paused_since is not None:
            moments.append(right.paused_since + PAUSE)
        if right.ends:
            moments.append(right.end)
        return moments

    def tick(self, now: datetime) -> None:
        """Let everything happen that is due, each at its moment."""
        while (moment := self.next_moment()) is not None and moment <= now:
            self._step(moment, now)

    def _step(self, moment: datetime, now: datetime) -> None:
        right = self.right
        if self.page is not None and self.page.expires == moment:
            self.lapse()
            if right is not None and right.state != "active":
                self.could_pay_since = now
            return
        assert right is not None
        if right.ends and right.end <= moment:
            self.end()
        elif right.state == "past_due" and right.owes_since and right.owes_since + GRACE == moment:
            right.state, right.paused_since = "suspended", now
        elif right.state == "suspended" and right.paused_since and right.paused_since + PAUSE == moment:
            self.end()
        elif not right.by_card:
            self._renew_from_credit(now)
        elif right.billed_until == moment:
            self._draft(right)
        else:
            self._collect(next(bill for bill in self._unpaid() if bill.tries[:1] == [moment]), moment, now)

    def _renew_from_credit(self, now: datetime) -> None:
        right = self.right
        assert right is not None
        self._apply_later(right)
        bill = Bill("renewal", right.monthly, right.monthly, right.number, month_after(right.start, right.end), "open")
        self.bills.append(bill)
        if not self._pay_from_credit(bill):
            right.state, right.owes_since = "past_due", now

    def pay_debts(self, now: datetime) -> None:
        """Credit came: a debt that waits for credit is paid, and what became due meanwhile follows."""
        right = self.right
        if right is None or right.by_card or right.state == "active":
            return
        for bill in self._unpaid():
            self._pay_from_credit(bill)
        self.tick(now)

    def could_pay(self) -> bool:
        """Answer whether credit covers a debt that waits for credit."""
        right = self.right
        if right is None or right.by_card or right.state == "active":
            return False
        return any(bill.total <= self.available for bill in self._unpaid())

    def _pay_from_credit(self, bill: Bill) -> bool:
        right = self.right
        if right is None or self.available < bill.total or bill.until is None:
            return False
        self.posted -= bill.total
        bill.state = "paid"
        right.start, right.end, right.state, right.owes_since = right.end, bill.until, "active", None
        return True

    def _draft(self, right: Right) -> None:
        assert right.billed_until is not None
        until = month_after(right.start, right.billed_until)
        self._apply_later(right)
        credit, _charge = split(right.monthly, self.available)
        self.held += credit
        bill = Bill("renewal", right.monthly, credit, right.number, until, "draft")
        bill.tries = [right.billed_until + DRAFT]
        self.bills.append(bill)
        right.billed_until = until

    def _collect(self, bill: Bill, moment: datetime, now: datetime) -> None:
        right = self.right
        assert right is not None
        assert bill.until is not None
        charge = bill.total - bill.credit
        if charge and not self.card_works:
            first = bill.tries.pop(0)
            if bill.state == "draft":
                bill.state, bill.tries = "open", [first + pause for pause in RETRIES]
            if right.state == "active":
                right.state, right.owes_since = "past_due", now
            return
        bill.state, bill.tries = "paid", []
        self.held -= bill.credit
        self.posted -= bill.credit
        self.captured += charge
        if bill.until > right.end:
            right.start, right.end = right.end, bill.until
        if right.state != "active" and not any(each.state == "open" for each in self._unpaid()):
            right.state, right.owes_since = "active", None

    # --- the rest ---------------------------------------------------------------------------------------------------
    def _begin(self, plan: str, monthly: int, *, by_card: bool, now: datetime) -> None:
        self.rights += 1
        end = now + relativedelta(months=1)
        self.right = Right(self.rights, plan, monthly, by_card, now, end, billed_until=end if by_card else None)

    def _add_first_bill(self, total: int, credit: int) -> None:
        assert self.right is not None
        self.bills.append(Bill("order", total, credit, self.right.number, self.right.end))

    def _apply_later(self, right: Right) -> None:
        if right.later is not None and right.state == "active":
            right.plan, right.monthly = right.later
            right.later = None

    def _takes_change(self, page: Page) -> bool:
        right = self.right
        if right is None or right.state != "active" or not page.is_wanted or page.change_from is None:
            return False
        return page.change_from >= right.start

    def _stands_on(self, right: Right, bill: Bill) -> bool:
        """Answer whether a subscription ends when this bill is given back: its first one, or that of this period."""
        if bill.sold_by != right.number or bill.until is None:
            return False
        return bill.kind == "order" or bill.until >= right.end

    def _unpaid(self) -> list[Bill]:
        return [bill for bill in self.bills if bill.state in ("draft", "open")]

    def facts(self) -> dict[str, object]:
        """Return everything that is compared with the world."""
        right = self.right
        page = self.page
        return {
            "posted": self.posted,
            "held": self.held,
            "captured": self.captured,
            "refunded": self.refunded,
            "bills": sorted(bill.facts() for bill in self.bills if bill.state != "void"),
            "page": None if page is None else (page.charge, page.credit),
            "right": None
            if right is None
            else (right.plan, right.monthly, right.state, right.ends, right.by_card, right.later),
        }


Outcome = Callable[[Customer], None]

__all__ = ["Bill", "Customer", "Outcome", "Page", "Right", "month_after", "price_of_rest", "split"]
