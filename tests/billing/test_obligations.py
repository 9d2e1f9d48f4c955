"""What is paid for is not deleted; what is deleted keeps its books."""

from typing import Any

import pytest
from django.utils import timezone

from billing.models import Account, Invoice, LedgerEntry
from billing.services.subscriptions import cancel_subscription
from marketplace.models import Job
from marketplace.selectors.obligations import obligations_of
from marketplace.services.delivery import InstallationNotPlanned, PaidOrder, plan_installation
from marketplace.services.environment_jobs import MoneyOpen
from marketplace.services.jobs_drive import drive_jobs
from marketplace.services.organization_jobs import leftovers, start_offboarding
from tenancy.models import Environment
from tests.billing.shop import Shop
from tests.billing.subscribed import Customer, subscribe

pytestmark = pytest.mark.django_db(transaction=True)

SUBSCRIBED = ["The subscription of prod has not ended."]


def offboard(customer: Customer) -> Job:
    organization = customer.shop.organization
    return start_offboarding(
        organization=organization, typed=organization.slug, actor=customer.shop.buyer, now=timezone.now()
    )


def test_an_organization_is_deleted_after_its_subscription(shop_without_processor: Shop, catalyst_home: Any) -> None:
    customer = subscribe(shop_without_processor, "payer")
    organization = customer.shop.organization
    assert obligations_of(organization, "prod") == obligations_of(organization) == SUBSCRIBED
    assert obligations_of(organization, "dev") == []
    with pytest.raises(MoneyOpen) as refusal:
        offboard(customer)
    organization.refresh_from_db()
    assert (refusal.value.extra, organization.state, Job.objects.count()) == ({"open": SUBSCRIBED}, "active", 0)

    cancel_subscription(
        subscription_id=customer.subscription.pk,
        at_once=True,
        actor=customer.shop.staff,
        reason="asked",
        now=timezone.now(),
    )
    kept = (Account.objects.count(), Invoice.objects.count(), LedgerEntry.objects.count())
    job = offboard(customer)
    drive_jobs(owner="worker-1", now=timezone.now())

    job.refresh_from_db()
    organization.refresh_from_db()
    assert (job.state, job.status_reason, organization.state) == ("succeeded", "", "deleted")
    assert leftovers(organization) == []
    assert (Account.objects.count(), Invoice.objects.count(), LedgerEntry.objects.count()) == kept
    late = PaidOrder("OMN-2026-000001", organization.pk, customer.shop.buyer.pk, "prod", ("bp-wordpress",))
    with pytest.raises(InstallationNotPlanned):
        plan_installation(order=late, now=timezone.now())
    assert not Environment.every.exists()
