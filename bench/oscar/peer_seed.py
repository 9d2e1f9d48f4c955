"""``python peer_seed.py COUNT``: the peer's data: two products, and so many buyers and vouchers.

Each voucher has an offer of its own: the kind choice again, for one offer would be one row that all buyers update.
"""

import sys
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import django
from django.core.management import call_command
from django.utils import timezone

django.setup()
call_command("migrate", verbosity=0, interactive=False)

# isort: split
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from oscar.core.loading import get_model  # type: ignore[import-not-found]  # noqa: E402

Benefit, Condition = get_model("offer", "Benefit"), get_model("offer", "Condition")
ConditionalOffer, Range = get_model("offer", "ConditionalOffer"), get_model("offer", "Range")
Partner, StockRecord = get_model("partner", "Partner"), get_model("partner", "StockRecord")
Product, ProductClass = get_model("catalogue", "Product"), get_model("catalogue", "ProductClass")
Voucher = get_model("voucher", "Voucher")
_BATCH = 1000


def main(count: int) -> None:
    kind = ProductClass.objects.create(name="Service", requires_shipping=False, track_stock=False)
    partner = Partner.objects.create(name="Shop", code="shop")
    for number, price in ((1, "5.00"), (2, "1.00")):
        product = Product.objects.create(product_class=kind, title=f"Product {number}", upc=f"upc{number}")
        StockRecord.objects.create(product=product, partner=partner, partner_sku=f"sku{number}", price=Decimal(price))
    everything = Range.objects.create(name="Everything", includes_all_products=True)
    condition = Condition.objects.create(range=everything, type="Count", value=1)
    benefit = Benefit.objects.create(range=everything, type="Percentage", value=100)
    users: Any = get_user_model().objects
    users.bulk_create(
        users.model(pk=n, username=f"buyer{n}", email=f"buyer{n}@bench.example") for n in range(1, count + 1)
    )
    offers = ConditionalOffer.objects.bulk_create(
        ConditionalOffer(name=f"peer {n}", slug=f"peer-{n}", offer_type="Voucher", condition=condition, benefit=benefit)
        for n in range(1, count + 1)
    )
    start, end = timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=30)
    vouchers = Voucher.objects.bulk_create(
        Voucher(name=f"peer {n}", code=f"PEER{n:05d}", usage="Multi-use", start_datetime=start, end_datetime=end)
        for n in range(1, count + 1)
    )
    link = Voucher.offers.through
    link.objects.bulk_create(
        link(voucher=voucher, conditionaloffer=offer) for voucher, offer in zip(vouchers, offers, strict=True)
    )
    for first in range(1, count + 1, _BATCH):
        people = users.filter(pk__gte=first, pk__lt=first + _BATCH)
        Session.objects.bulk_create(_session(person, end) for person in people)


def _session(user: Any, end: datetime) -> Session:
    content = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }
    return Session(session_key=f"peer{user.pk:028d}", session_data=SessionStore().encode(content), expire_date=end)


if __name__ == "__main__":
    main(int(sys.argv[1]))
