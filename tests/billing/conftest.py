"""Fixtures of the money tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from billing.services.ledger import open_account
from tenancy.models import Organization, Sovereign, User
from tests import factories
from tests.billing.shop import PLAN_MINOR, Shop
from tests.crash.client import CrashServer
from tests.stripe_standin import StripeStandIn


@pytest.fixture
def shop_without_processor(sovereign: Sovereign, organization: Organization, org_admin: User) -> Shop:
    """A shop whose administrator has stored no processor keys."""
    factories.PlanFactory.create(slug="m", title_en="M", title_ar="M")
    factories.PriceFactory.create(kind="plan", reference="m", amount_minor=PLAN_MINOR)
    factories.PriceFactory.create(kind="blueprint", reference="bp-wordpress", amount_minor=0)
    blueprint = factories.BlueprintFactory.create(slug="wordpress", title="WordPress")
    factories.BlueprintVersionFactory.create(
        blueprint=blueprint,
        version="1.0.0",
        major=1,
        minor=0,
        patch=0,
        contract={"spec": {"footprint": {"memoryMiB": 256, "cpuMilli": 250, "diskGiB": 5}, "depends": []}},
        files={},
    )
    staff = factories.UserFactory.create(email="staff@example.com", staff_role=User.StaffRole.ADMIN)
    open_account(organization=organization, sovereign=sovereign)
    return Shop(sovereign=sovereign, organization=organization, buyer=org_admin, staff=staff)


@pytest.fixture
def shop(shop_without_processor: Shop, stripe_standin: StripeStandIn, settings: Any) -> Shop:
    """A shop that takes cards through the stand-in."""
    settings.STRIPE_API_BASE = stripe_standin.url
    shop_without_processor.standin = stripe_standin
    shop_without_processor.configure_processor()
    return shop_without_processor


@pytest.fixture(scope="session")
def crash_server(django_db_setup: None) -> Iterator[CrashServer]:
    """The process that lends children to die, for the whole run: it takes seconds to start and a child none."""
    with CrashServer() as server:
        yield server
