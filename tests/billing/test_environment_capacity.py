"""What an Environment may hold is what its live subscription's Plan gives."""

import pytest
from django.utils import timezone

from billing.services.subscriptions import cancel_subscription
from marketplace.models import Plan
from marketplace.selectors.capacity import Footprint, capacity_of
from tenancy.models import Environment
from tests.billing.shop import Shop
from tests.billing.subscribed import subscribe

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_plan_gives_its_capacity_until_the_subscription_ends(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "payer")
    organization = customer.shop.organization
    plan = Plan.objects.get(slug=customer.subscription.plan)
    production, other = (Environment(organization=organization, env_type=each) for each in ("prod", "dev"))

    assert capacity_of(production) == Footprint(plan.memory_mib, plan.vcpu_milli, plan.disk_gib)
    assert capacity_of(other) is None

    cancel_subscription(
        subscription_id=customer.subscription.pk,
        at_once=True,
        actor=customer.shop.staff,
        reason="asked",
        now=timezone.now(),
    )
    assert capacity_of(production) is None
