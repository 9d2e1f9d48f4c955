"""Numbers without a gap and without a duplicate, whoever comes at the same moment and whoever fails."""

from datetime import timedelta
from functools import partial
from threading import Barrier

import pytest
from django.db import transaction
from django.utils import timezone

from billing.models import DocumentCounter, Invoice, Order
from billing.services.invoices import add_renewal_invoice, issue_order_invoice, next_number, number_invoice
from catalyst.core.database import execute, fetch_all, fetch_one, use_case
from catalyst.core.errors import DomainError
from tests.billing.shop import Shop
from tests.billing.subscribed import subscribe
from tests.crash.races import race, scratch_table

pytestmark = pytest.mark.django_db(transaction=True)

CROWD = 20


def test_twenty_at_once_take_one_to_twenty(shop_without_processor: Shop) -> None:
    for number in range(CROWD):
        subscribe(shop_without_processor, f"company-{number}")
    orders = list(Order.objects.values_list("number", flat=True))

    def issue(order_number: str) -> str:
        issue_order_invoice(order_number=order_number, now=timezone.now())
        return "issued"

    outcomes = race([partial(issue, order_number) for order_number in orders])

    assert outcomes == {"issued": CROWD}
    assert list(Invoice.objects.order_by("number").values_list("number", flat=True)) == list(range(1, CROWD + 1))
    assert DocumentCounter.objects.get().last_number == CROWD


def test_two_workers_with_one_order_issue_one_invoice(shop_without_processor: Shop) -> None:
    order = subscribe(shop_without_processor, "company").subscription.order
    issue = partial(issue_order_invoice, order_number=order.number, now=timezone.now())

    outcomes = race([lambda: issue().number] * 8)

    assert outcomes == {"1": 8}
    assert Invoice.objects.count() == 1


def test_a_draft_that_two_issue_at_once_gets_one_number(shop_without_processor: Shop) -> None:
    subscription = subscribe(shop_without_processor, "company").subscription
    end, now = subscription.current_period.upper, timezone.now()
    draft = use_case(add_renewal_invoice)(
        subscription=subscription, period=(end, end + timedelta(days=30)), state="draft", credit_minor=0, now=now
    )

    def issue() -> str:
        use_case(number_invoice)(Invoice.objects.get(pk=draft.pk), state="open", now=now)
        return "issued"

    outcomes = race([issue] * 8)

    assert outcomes == {"issued": 1, "invoice_moved": 7}
    assert (Invoice.objects.get().number, DocumentCounter.objects.get().last_number) == (1, 1)


def test_those_who_fail_leave_no_gap() -> None:
    class Failed(DomainError):
        code = "failed"

    def take(fails: bool) -> str:
        with transaction.atomic(durable=True):
            number = next_number("TEST")
            if fails:
                raise Failed("No.")
        return str(number)

    outcomes = race([partial(take, number % 2 == 0) for number in range(CROWD)])

    assert outcomes == {"failed": CROWD // 2, **{str(number): 1 for number in range(1, CROWD // 2 + 1)}}
    DocumentCounter.objects.all().delete()


def test_control_without_the_lock_the_same_number_is_given_twice() -> None:
    """The largest number plus one, read without a lock: what the counter row is there to prevent."""
    with scratch_table("number int"):
        all_have_looked = Barrier(CROWD)

        def take() -> str:
            row = fetch_one("SELECT coalesce(max(number), 0) + 1 FROM scratch")
            assert row is not None
            all_have_looked.wait(30)
            execute("INSERT INTO scratch VALUES (%s)", [row[0]])
            return str(row[0])

        outcomes = race([take] * CROWD)
        numbers = fetch_all("SELECT DISTINCT number FROM scratch")

    assert outcomes == {"1": CROWD}
    assert numbers == [(1,)]


def test_control_a_sequence_leaves_gaps_where_somebody_failed() -> None:
    """A Postgres sequence needs no lock and forgets what was rolled back: good for orders, wrong for invoices."""
    with scratch_table("number serial, note text"):
        taken = []
        for fails in (False, True, False):
            with transaction.atomic(durable=True):
                row = fetch_one("INSERT INTO scratch (note) VALUES ('') RETURNING number")
                assert row is not None
                taken.append(row[0])
                transaction.set_rollback(fails)
        kept = fetch_all("SELECT number FROM scratch ORDER BY number")

    assert taken == [1, 2, 3]
    assert kept == [(1,), (3,)]
