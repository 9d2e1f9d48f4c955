"""What a customer sets decides what else is installed: a checkout and its quote count that, as the delivery will."""

from dataclasses import replace

import pytest
from django.utils import timezone

from billing.models import Order
from billing.services.checkout_types import Selection
from billing.services.code_attempts import Guesser
from billing.services.quotes import quote_selection
from marketplace.models import BlueprintVersion
from marketplace.selectors.selection import CapacityExceeded
from tests import factories
from tests.billing.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN = Selection(plan="m", blueprints=("bp-shelf",))
WITH_CACHE = replace(PLAIN, config={"bp-shelf": {"cache": True}})


@pytest.fixture(autouse=True)
def _shelf(shop: Shop) -> None:
    """Sell a Blueprint that installs a cache, larger than the Plan, only where its configuration says so."""
    cache = factories.BlueprintFactory.create(slug="cache", title="Cache")
    shelf = factories.BlueprintFactory.create(slug="shelf", title="Shelf")
    edge = {"blueprint": "bp-cache", "version": "^1", "alias": "cache", "when": "{{ .config.cache == true }}"}
    schema = {"type": "object", "properties": {"cache": {"type": "boolean", "default": False}}}
    small = {"memoryMiB": 100, "cpuMilli": 100, "diskGiB": 1}
    specs = [
        (cache, {"footprint": small | {"memoryMiB": 1_000_000}, "depends": []}),
        (shelf, {"footprint": small, "depends": [edge], "configSchema": schema}),
    ]
    for blueprint, spec in specs:
        factories.BlueprintVersionFactory.create(
            blueprint=blueprint, version="1.0.0", major=1, minor=0, patch=0, contract={"spec": spec}, files={}
        )
        factories.PriceFactory.create(kind="blueprint", reference=blueprint.name, amount_minor=0)


def test_a_checkout_refuses_what_would_not_fit_when_delivered(shop: Shop) -> None:
    with pytest.raises(CapacityExceeded):
        shop.buy(selection=WITH_CACHE)
    assert not Order.objects.exists()

    assert shop.buy(selection=PLAIN).session_url


def test_a_quote_says_so_before(shop: Shop) -> None:
    def ask(selection: Selection) -> None:
        quote_selection(
            organization=shop.organization,
            sovereign=shop.sovereign,
            selection=selection,
            voucher_code="",
            guesser=Guesser(address="192.0.2.1"),
            now=timezone.now(),
        )

    ask(PLAIN)
    with pytest.raises(CapacityExceeded):
        ask(WITH_CACHE)
    assert BlueprintVersion.objects.count() == 3
