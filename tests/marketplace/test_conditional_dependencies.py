"""A condition that a published version states reaches the resolver, with the defaults of its configuration."""

from typing import Any

import pytest

from marketplace.models import BlueprintVersion
from marketplace.selectors.blueprint_index import index_of
from marketplace.selectors.dependencies import Index, Root, resolve
from marketplace.selectors.offer import load_offer
from marketplace.selectors.selection import CapacityExceeded, PricedSelection, price_selection
from tests.factories import PlanFactory, PriceFactory
from tests.marketplace.catalogue_rows import NOW, START, add_blueprint

pytestmark = pytest.mark.django_db


def published(*, default: bool, footprint: tuple[int, int, int] = (100, 100, 1)) -> Index:
    """Publish a Blueprint that needs a cache only when its configuration says so, and return what anyone can buy."""
    add_blueprint("cache", footprint=footprint)
    properties = {"cache": {"type": "boolean", "default": default}}
    edge = {"blueprint": "bp-cache", "version": "^1", "alias": "cache", "when": "{{ .config.cache == true }}"}
    BlueprintVersion.objects.create(
        blueprint=add_blueprint("shelf"),
        version="1.1.0",
        major=1,
        minor=1,
        patch=0,
        digest=f"sha256:{'1' * 64}",
        contract={"spec": {"configSchema": {"type": "object", "properties": properties}, "depends": [edge]}},
        files={},
    )
    return index_of(load_offer(None, currency="OMR", at=NOW).listings)


@pytest.mark.parametrize(("default", "applications"), [(True, ("shared-cache", "shelf")), (False, ("shelf",))])
def test_the_default_decides_when_nobody_says_anything(default: bool, applications: tuple[str, ...]) -> None:
    index = published(default=default)

    assert resolve(index=index, roots=[Root("shelf", "bp-shelf")]).applications() == applications


def test_what_a_person_sets_decides_before_the_default() -> None:
    index = published(default=True)

    lock = resolve(index=index, roots=[Root("shelf", "bp-shelf")], config={"shelf": {"cache": False}})

    assert lock.applications() == ("shelf",)


def test_what_a_person_sets_decides_what_a_checkout_counts() -> None:
    published(default=False, footprint=(100_000, 100, 1))
    PlanFactory.create(slug="m")
    PriceFactory.create(kind="plan", reference="m", amount_minor=9_000, valid_from=START)

    def priced(config: dict[str, Any]) -> PricedSelection:
        chosen: Any = {"plan": "m", "blueprints": ["bp-shelf"], "addons": [], "bundle": ""}
        return price_selection(**chosen, currency="OMR", at=NOW, config=config)

    assert priced({}).lock.applications() == ("shelf",)
    with pytest.raises(CapacityExceeded):
        priced({"bp-shelf": {"cache": True}})
    # Each is remembered for itself, and what another Blueprint was given is none of its business.
    assert priced({"bp-cache": {"cache": True}}).lock.applications() == ("shelf",)
    with pytest.raises(CapacityExceeded):
        priced({"bp-shelf": {"cache": True}})
