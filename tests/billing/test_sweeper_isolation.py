"""One order or call that cannot be driven on keeps nobody else waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from billing.models import Checkout, PspCall
from billing.tasks import checkouts as tasks
from tests.billing.killed import Purchase, make_due, make_purchase, sweep
from tests.billing.shop import Shop
from tests.conftest import owner_connection
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def poisoned(table: str, condition: str) -> Iterator[None]:
    """Let the database refuse every change of some rows."""
    with owner_connection() as owner:
        owner.execute(
            "CREATE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'poisoned' USING errcode = 'data_exception'; END $$"
        )
        owner.execute(
            f"CREATE TRIGGER poison BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW WHEN ({condition})"
            " EXECUTE FUNCTION refuse_row()"
        )
        try:
            yield
        finally:
            owner.execute("DROP FUNCTION refuse_row CASCADE")


def paid_purchase(shop: Shop, slug: str) -> Purchase:
    purchase = make_purchase(shop, slug)
    purchase.buy()
    assert shop.standin is not None
    shop.standin.pay(str(purchase.checkouts()[0].psp_session_id))
    return purchase


def test_a_checkout_that_fails_is_postponed_and_the_others_go_on(shop: Shop) -> None:
    poison, healthy = paid_purchase(shop, "poison"), paid_purchase(shop, "healthy")
    make_due()
    Checkout.objects.filter(organization_id=poison.shop.organization.pk).update(next_action_at="2020-01-01T00:00:00Z")

    with poisoned("billing_subscription", f"new.organization_id = {poison.shop.organization.pk}"):
        tasks.sweep_checkouts_task()

    assert healthy.books().checkouts == ["completed"]
    (waiting,) = poison.checkouts()
    assert (waiting.state, waiting.lease_owner, waiting.last_error) == ("awaiting_payment", None, "DataError")
    assert waiting.next_action_at > timezone.now() + timedelta(seconds=20)
    poison.check()
    sweep()
    assert poison.books().checkouts == ["completed"]


def test_a_call_that_fails_is_postponed_and_the_others_go_on(shop: Shop) -> None:
    assert shop.standin is not None
    shop.standin.script("checkout.sessions.create", Fault.DROP_AFTER, times=4)
    poison, healthy = make_purchase(shop, "poison"), make_purchase(shop, "healthy")
    poison.buy()
    healthy.buy()

    with poisoned("billing_pspcall", f"new.organization_id = {poison.shop.organization.pk} AND new.state = 'voided'"):
        sweep()

    calls = PspCall.objects.filter(op="session.create").order_by("id")
    assert list(calls.values_list("state", flat=True)) == ["unknown", "voided"]
    assert shop.standin.sessions(status="open") == []
    sweep()
    assert list(calls.values_list("state", flat=True)) == ["voided", "voided"]
    poison.check()
    healthy.check()
