"""The console: Applications and Billing of one Organization, by role; strangers find nothing."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.services.wallet import redeem_to_balance
from marketplace.models import ApplicationStatus
from tenancy.models import Membership
from tests import factories
from tests.billing.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

APPS, BILLING = "/console/acme/applications/", "/console/acme/billing/"


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return str(response.content.decode())


def application(shop: Shop, slug: str, **values: Any) -> None:
    ApplicationStatus.objects.create(
        organization_id=shop.organization.pk,
        environment_id=1,
        application=slug,
        blueprint=f"bp-{slug}",
        title=slug.title(),
        version="1.0.0",
        requested_at=timezone.now(),
        sequence=1,
        **{"env_type": "prod", "status": "ready", **values},
    )


def test_the_front_door_leads_to_the_only_organization(shop: Shop, client: Client) -> None:
    client.force_login(shop.buyer)

    assert client.get("/console/").headers["Location"] == APPS


def test_several_organizations_are_a_choice(shop: Shop, client: Client) -> None:
    client.force_login(shop.buyer)
    factories.MembershipFactory.create(
        user=shop.buyer, organization=factories.OrganizationFactory.create(slug="globex")
    )

    html = page(client, "/console/")

    assert APPS in html
    assert "/console/globex/applications/" in html


def test_without_an_organization_it_says_how_to_get_one(shop: Shop, client: Client) -> None:
    client.force_login(factories.UserFactory.create())

    assert "You belong to no organization yet" in page(client, "/console/")


def test_nothing_yet_is_not_an_error(shop: Shop, client: Client) -> None:
    client.force_login(shop.buyer)

    assert "No applications yet" in page(client, APPS)
    assert "No credit yet" in page(client, BILLING)


def test_applications_and_their_services_stand_apart(shop: Shop, client: Client) -> None:
    client.force_login(shop.buyer)
    application(shop, "wordpress", status="installing")
    application(shop, "shared-mysql", is_service=True)

    html = page(client, APPS)

    assert html.index("Wordpress") < html.index("Services they use") < html.index("Shared-Mysql")
    assert 'data-status="installing"' in html
    assert 'hx-trigger="every 5s"' in html


def test_an_environment_outside_the_scope_is_not_shown(shop: Shop, client: Client) -> None:
    member = factories.MembershipFactory.create(
        organization=shop.organization, role="org-developer", env_types=["dev"]
    ).user
    client.force_login(member)
    application(shop, "wordpress")

    assert "No applications yet" in page(client, APPS)


def test_billing_shows_balance_plan_orders_and_ledger(shop: Shop, client: Client) -> None:
    voucher = shop.voucher(60_000)
    outcome = shop.buy(voucher_code=shop.code(voucher))
    client.force_login(shop.buyer)

    html = page(client, BILLING)

    assert outcome.order_number in html
    assert "OMR\u00a010.000" in html
    assert "−OMR\u00a050.000" in html
    assert 'data-status="active"' in html


def test_the_ledger_is_paged_from_the_newest_on(shop: Shop, client: Client) -> None:
    client.force_login(shop.buyer)
    voucher = shop.voucher(1_000, per_organization_limit=25)
    for _number in range(25):
        redeem_to_balance(
            code=shop.code(voucher),
            organization=shop.organization,
            sovereign=shop.sovereign,
            actor=shop.buyer,
            address="",
            now=timezone.now(),
        )

    first, second = page(client, BILLING), page(client, f"{BILLING}?before=6")

    assert (first.count("…"), 'href="?before=6#ledger"' in first) == (20, True)
    assert (second.count("…"), 'rel="next"' in second) == (5, False)
    assert page(client, f"{BILLING}?before=%00x") != ""


@pytest.mark.parametrize(
    ("role", "apps", "billing"), [("billing-admin", 403, 200), ("org-developer", 200, 403), ("org-viewer", 200, 200)]
)
def test_each_role_opens_its_pages(shop: Shop, client: Client, role: str, apps: int, billing: int) -> None:
    client.force_login(factories.MembershipFactory.create(organization=shop.organization, role=role).user)

    page(client, APPS, apps)
    page(client, BILLING, billing)


@pytest.mark.parametrize("address", [APPS, BILLING, "/console/nowhere/applications/"])
def test_strangers_find_nothing(shop: Shop, client: Client, address: str) -> None:
    assert client.get(address).status_code == 302

    client.force_login(factories.MembershipFactory.create(role=Membership.Role.ADMIN).user)

    assert client.get(address).status_code == 404
