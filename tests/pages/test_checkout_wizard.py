"""The wizard without scripts: its questions, what it refuses, and the way from an empty Cart to a paid order."""

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from billing.models import Cart, Order
from billing.services.vouchers import revoke_voucher
from marketplace.models import Blueprint
from tenancy.models import Membership, Organization
from tests import factories
from tests.billing.shop import Shop, books

pytestmark = pytest.mark.django_db(transaction=True)

REVIEW, PAY = "/checkout/review/", "/checkout/pay/"


@pytest.fixture(autouse=True)
def _fresh_limits() -> None:
    cache.clear()


def fill(client: Client) -> None:
    """Put the shop's Plan and Application into the Cart."""
    client.post("/cart/add/", {"blueprint": "wordpress"})
    client.post("/cart/add/", {"plan": "m"})


def fill_for(client: Client, shop: Shop) -> None:
    """Sign the customer in and choose everything, for the Organization they have."""
    client.force_login(shop.buyer)
    fill(client)
    assert client.post("/checkout/addons/", {"organization": shop.organization.slug}).status_code == 303


def page(client: Client, address: str = REVIEW, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return str(response.content.decode())


def hidden(html: str) -> dict[str, str]:
    """Read the hidden fields of the form that pays."""
    form = html.partition('action="/checkout/pay/"')[2].partition("</form>")[0]
    return dict(re.findall(r'type="hidden" name="(key|quote|charge)" value="([^"]*)"', form))


def pay(client: Client, **changes: str) -> Any:
    return client.post(PAY, {**hidden(page(client)), **changes})


def test_an_empty_cart_says_what_to_do(shop: Shop, client: Client) -> None:
    assert "Your cart is empty" in page(client)
    assert not Cart.objects.exists()


def test_a_plan_must_be_chosen(shop: Shop, client: Client) -> None:
    response = client.post("/checkout/plan/", {"plan": "nonsense"})

    assert (response.status_code, "Choose a plan" in response.content.decode()) == (422, True)
    assert not Cart.objects.exists()


def test_at_least_one_app_must_be_chosen(shop: Shop, client: Client) -> None:
    client.post("/cart/add/", {"plan": "m"})

    response = client.post("/checkout/apps/", {})

    assert (response.status_code, "Choose at least one app" in response.content.decode()) == (422, True)


def test_what_does_not_fit_cannot_go_on_and_names_the_larger_plan(shop: Shop, client: Client) -> None:
    factories.PlanFactory.create(slug="s", title_en="S", memory_mib=512, vcpu_milli=400, disk_gib=9, position=0)
    factories.PriceFactory.create(kind="plan", reference="s", amount_minor=5_000)
    client.post("/cart/add/", {"plan": "s"})

    response = client.post("/checkout/apps/", {"blueprints": "bp-wordpress"})

    html = response.content.decode()
    assert response.status_code == 422
    assert "Too large for Plan S. Upgrade to M or remove an app." in html
    assert 'name="plan" value="m"' in html


@pytest.mark.parametrize("slug", ["nothing", "soon"])
def test_what_is_not_sold_never_gets_into_the_cart(shop: Shop, client: Client, slug: str) -> None:
    factories.BlueprintFactory.create(slug="soon", state="soon")

    response = client.post("/cart/add/", {"blueprint": slug})

    assert response.status_code == 422
    assert not Cart.objects.exists()


def test_details_keep_their_values_when_refused(shop: Shop, client: Client) -> None:
    fill(client)

    response = client.post("/checkout/addons/", {"name": "Muscat Dates", "slug": "acme"})

    html = response.content.decode()
    assert response.status_code == 422
    assert 'value="Muscat Dates"' in html
    assert "Taken. Try acme-2, acme-3, acme-4" in html
    assert Cart.objects.get().organization_slug == ""


def test_a_stranger_signs_in_before_the_purchase_and_founds_an_organization(shop: Shop, client: Client) -> None:
    fill(client)

    response = client.post("/checkout/addons/", {"name": "Muscat Dates"})

    assert response.headers["Location"] == "/account/sign-in/?next=%2Fcheckout%2Freview%2F"
    assert Cart.objects.get().organization_slug == "muscat-dates"
    assert "Sign in to continue" in page(client)
    person = factories.UserFactory.create()
    client.force_login(person)
    answer = pay(client)
    assert (answer.status_code, answer.headers["Location"].startswith(str(shop.standin and shop.standin.url))) == (
        303,
        True,
    )
    founded = Organization.objects.get(slug="muscat-dates")
    assert Membership.objects.get(organization=founded).user == person
    assert Cart.objects.get().organization == founded


def test_credit_that_covers_everything_goes_straight_to_the_order(shop: Shop, client: Client) -> None:
    fill_for(client, shop)
    voucher = shop.voucher(60_000)
    assert client.post("/checkout/voucher/", {"code": shop.code(voucher)}).status_code == 303
    html = page(client)
    assert "Voucher covers this order. No card needed" in html
    assert "Start, nothing to pay" in html

    answer = pay(client)

    order = Order.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/orders/{order.number}/")
    assert (order.state, order.credit_minor) == ("paid", 50_000)
    assert 'id="cart-count" class="number">0<' in page(client)


def test_a_part_goes_on_to_the_card_page_and_comes_back_paid(shop: Shop, client: Client) -> None:
    fill_for(client, shop)
    client.post("/checkout/voucher/", {"code": shop.code(shop.voucher())})
    assert "Pay <bdi" in page(client)

    answer = pay(client)

    assert answer.status_code == 303
    session = answer.headers["Location"].rstrip("/").rpartition("/")[2]
    assert "Confirming your payment" in page(client, f"/checkout/return/?session_id={session}")
    assert Order.objects.get().state == "pending_payment"


def test_double_click_makes_one_order(shop: Shop, client: Client) -> None:
    fill_for(client, shop)
    client.post("/checkout/voucher/", {"code": shop.code(shop.voucher(60_000))})
    fields = hidden(page(client))

    first, second = client.post(PAY, fields), client.post(PAY, fields)

    assert first.headers["Location"] == second.headers["Location"] == f"/orders/{Order.objects.get().number}/"
    assert Order.objects.count() == 1


def test_coming_back_unpaid_keeps_the_cart(shop: Shop, client: Client) -> None:
    fill_for(client, shop)
    client.post("/checkout/voucher/", {"code": shop.code(shop.voucher())})
    pay(client)

    html = page(client, f"{REVIEW}?cancelled=1")

    assert "You haven't been charged" in html
    assert "credit is in your balance" in html


def test_a_changed_price_is_shown_and_asked_again(shop: Shop, client: Client) -> None:
    fill_for(client, shop)
    fields = hidden(page(client))
    factories.PriceFactory.create(kind="plan", reference="m", amount_minor=60_000, valid_from=timezone.now())

    response = client.post(PAY, fields)

    html = response.content.decode()
    assert response.status_code == 409
    assert "The amount changed. Please confirm" in html
    assert "<del>" in html
    assert hidden(html)["charge"] == "60000"
    assert books(shop).orders == []


def test_without_a_processor_nothing_is_used(shop_without_processor: Shop, client: Client) -> None:
    shop = shop_without_processor
    fill_for(client, shop)
    voucher = shop.voucher()
    client.post("/checkout/voucher/", {"code": shop.code(voucher)})

    response = pay(client)

    assert response.status_code == 503
    assert "Card payment is not available right now. Your voucher was not used." in response.content.decode()
    assert (books(shop, voucher).orders, books(shop, voucher).reserved_count) == ([], 0)


def test_a_second_plan_for_the_same_environment_is_refused(shop: Shop, client: Client) -> None:
    fill_for(client, shop)
    client.post("/checkout/voucher/", {"code": shop.code(shop.voucher(60_000))})
    pay(client)
    fill_for(client, shop)

    response = pay(client)

    assert (response.status_code, "already has a plan" in response.content.decode()) == (409, True)
    assert Order.objects.count() == 1


def test_a_line_that_is_gone_is_named_and_removed_by_one_click(shop: Shop, client: Client) -> None:
    fill_for(client, shop)
    Blueprint.objects.filter(slug="wordpress").update(state="soon")

    html = page(client)

    assert "Remove wordpress from the order" in html
    assert hidden(html) == {}
    client.post("/cart/remove/", {"blueprint": "bp-wordpress"})
    assert Cart.objects.get().blueprints == []


def test_a_slug_taken_meanwhile_goes_back_to_the_details(shop: Shop, client: Client) -> None:
    client.force_login(factories.UserFactory.create())
    fill(client)
    client.post("/checkout/addons/", {"name": "Initech", "slug": "initech"})
    fields = hidden(page(client))
    factories.OrganizationFactory.create(slug="initech")

    response = client.post(PAY, fields)

    html = response.content.decode()
    assert (response.status_code, "Taken. Try initech-2" in html) == (409, True)
    assert Order.objects.count() == 0


def test_a_code_revoked_meanwhile_stays_in_its_field(shop: Shop, client: Client) -> None:
    fill_for(client, shop)
    voucher = shop.voucher()
    client.post("/checkout/voucher/", {"code": shop.code(voucher)})
    fields = hidden(page(client))
    revoke_voucher(voucher_id=voucher.pk, actor=shop.staff, now=timezone.now())

    response = client.post(PAY, fields)

    html = response.content.decode()
    assert response.status_code == 404
    assert "We can&#x27;t find this code" in html
    assert f'value="{shop.code(voucher)}"' in html
    assert books(shop).orders == []


@pytest.mark.parametrize(("code", "status"), [("", 400), ("NEVER-2026", 404)])
def test_a_refused_code_is_explained_beside_its_field(shop: Shop, client: Client, code: str, status: int) -> None:
    fill_for(client, shop)

    response = client.post("/checkout/voucher/", {"code": code})

    assert response.status_code == status
    assert 'id="code-error" role="alert"' in response.content.decode()
    assert Cart.objects.get().voucher_code_sealed == ""


def test_who_may_not_buy_is_refused(shop: Shop, client: Client) -> None:
    viewer = factories.MembershipFactory.create(organization=shop.organization, role=Membership.Role.VIEWER).user
    client.force_login(viewer)
    fill(client)
    Cart.objects.update(organization=shop.organization)

    response = pay(client, key="a-key-of-my-own", quote="")

    assert response.status_code == 403
    assert Order.objects.count() == 0


def test_a_foreign_card_page_is_not_found(shop: Shop, client: Client) -> None:
    fill_for(client, shop)
    session = pay(client).headers["Location"].rstrip("/").rpartition("/")[2]
    client.force_login(factories.UserFactory.create())

    assert client.get(f"/checkout/return/?session_id={session}").status_code == 404
    assert client.get("/checkout/return/?session_id=cs_nothing").status_code == 404
