"""One purchase that is killed and recovered: the customer, their code, their key, and the ways back."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from billing.models import Checkout, Voucher
from billing.tasks import checkouts as tasks
from catalyst.core.database import execute
from tests.billing.api.calls import SELECTION, Calls
from tests.billing.shop import VOUCHER_MINOR, Books, Shop, books
from tests.crash.client import CrashServer, Ending
from tests.crash.oracle import assert_sound


@dataclass
class Purchase:
    """A customer of their own with a code of their own, about to buy."""

    shop: Shop
    voucher: Voucher
    calls: Calls
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def doomed(self, server: CrashServer, kill_at: str, *, nth: int = 1, way: str = "") -> Ending:
        """Buy in a process that dies at a failpoint."""
        return server.post(
            self.calls.url("checkouts/"),
            {**SELECTION, "voucher_code": self.shop.code(self.voucher)},
            kill_at=kill_at,
            nth=nth,
            way=way,
            **{"Idempotency-Key": self.key, "Authorization": self.shop.authorization()},
        )

    def buy(self, key: str = "") -> Any:
        """Buy in the test's own process; without a key it is a new attempt."""
        return self.calls.buy(key, voucher_code=self.shop.code(self.voucher))

    def books(self) -> Books:
        return books(self.shop, self.voucher)

    def checkouts(self) -> list[Checkout]:
        mine = Checkout.objects.filter(organization_id=self.shop.organization.pk)
        return list(mine.select_related("order").order_by("created_at"))

    def check(self) -> None:
        assert_sound(self.shop.organization.pk, self.shop.standin)


def make_purchase(shop: Shop, slug: str, amount_minor: int = VOUCHER_MINOR) -> Purchase:
    """Return a purchase by a new customer with a new code."""
    place = shop.with_customer(slug)
    return Purchase(place, place.voucher(amount_minor), place.calls())


def make_due() -> None:
    """Let the time pass that leases and pauses last."""
    execute("UPDATE billing_checkout SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL")
    execute("UPDATE billing_checkout SET next_action_at = now() - interval '1 second'")
    execute("UPDATE billing_pspcall SET next_action_at = now() - interval '1 second'")
    execute("UPDATE billing_stripeevent SET next_attempt_at = now() - interval '1 second' WHERE state = 'pending'")


def sweep() -> None:
    """Let time pass, and beat come round."""
    make_due()
    tasks.sweep_checkouts_task()
    make_due()
    tasks.sweep_psp_calls_task()
    tasks.sweep_stripe_events_task()


def retry_with_the_same_key(purchase: Purchase) -> None:
    make_due()
    assert purchase.buy(purchase.key).status_code == 201


def start_a_new_attempt(purchase: Purchase) -> None:
    """Press again at once in another tab: the dead attempt's lease still runs."""
    answer = purchase.buy()
    # A card page that was handed over stands, and a sale is not made twice.
    assert answer.status_code in (201, 409)


def sweep_once(purchase: Purchase) -> None:
    sweep()


def sweep_twice(purchase: Purchase) -> None:
    sweep()
    before = purchase.books()
    sweep()
    assert purchase.books() == before


RECOVERIES: dict[str, Callable[[Purchase], None]] = {
    "retry with the same key": retry_with_the_same_key,
    "a new attempt at once": start_a_new_attempt,
    "sweep": sweep_once,
    "sweep twice": sweep_twice,
}
