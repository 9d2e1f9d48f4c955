"""The Voucher's page, one test for each state that it can show."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from billing.models import Cart, LedgerEntry, Redemption, Voucher
from billing.services.carts import voucher_code_of
from billing.services.vouchers import revoke_voucher, set_voucher_active
from tenancy.models import Membership
from tests import factories
from tests.billing.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

REDEEM = "/redeem/"


@pytest.fixture(autouse=True)
def _fresh_limits() -> None:
    cache.clear()


def check(client: Client, code: str) -> tuple[int, str]:
    response = client.post(REDEEM, {"code": code})
    assert response.headers["Referrer-Policy"] == "same-origin"
    return response.status_code, response.content.decode()


def nothing_happened() -> bool:
    return not Redemption.objects.exists() and not LedgerEntry.objects.exclude(kind="opening").exists()


def test_opening_the_link_fills_the_form_and_does_nothing(shop: Shop, client: Client) -> None:
    voucher = shop.voucher()

    response = client.get(REDEEM, {"code": shop.code(voucher)})

    assert response.status_code == 200
    assert f'value="{shop.code(voucher)}"' in response.content.decode()
    assert "OMR" not in response.content.decode().partition("<h1>")[2]
    assert nothing_happened()
    assert not Cart.objects.exists()


def test_a_link_without_slash_keeps_its_code(shop: Shop, client: Client) -> None:
    response = client.get("/redeem?code=ABC-123", follow=True)

    assert 'value="ABC-123"' in response.content.decode()


def test_a_blank_code_is_asked_for(shop: Shop, client: Client) -> None:
    status, html = check(client, " ")

    assert (status, "Enter your voucher code" in html) == (400, True)


def test_a_mistyped_generated_code_is_told_so(shop: Shop, client: Client) -> None:
    code = shop.code(shop.voucher())
    wrong = ("1" if code[0] != "1" else "2") + code[1:]

    status, html = check(client, wrong)

    assert (status, "Check the code: one character looks wrong" in html) == (404, True)
    assert f'value="{wrong}"' in html


def test_unknown_and_revoked_look_the_same(shop: Shop, client: Client) -> None:
    voucher = shop.voucher(code="GONE-2026")
    revoke_voucher(voucher_id=voucher.pk, actor=shop.staff, now=timezone.now())

    unknown = check(client, "NEVER-2026")
    revoked = check(client, "GONE-2026")

    assert unknown[0] == revoked[0] == 404
    assert "We can&#x27;t find this code" in unknown[1]
    assert "We can&#x27;t find this code" in revoked[1]


def test_one_that_has_not_begun_names_the_day(shop: Shop, client: Client) -> None:
    starts = timezone.now() + timedelta(days=9)
    voucher = shop.voucher(starts_at=starts)

    status, html = check(client, shop.code(voucher))

    assert status == 410
    assert f"This voucher starts on {timezone.localtime(starts):%-d %b %Y}" in html


def test_a_paused_one_names_its_value(shop: Shop, client: Client) -> None:
    voucher = shop.voucher()
    set_voucher_active(voucher_id=voucher.pk, active=False, actor=shop.staff)

    status, html = check(client, shop.code(voucher))

    assert status == 410
    assert "This voucher (" in html
    assert "OMR\u00a010.000" in html
    assert "is not accepting redemptions now" in html


def test_an_expired_one_names_the_day(shop: Shop, client: Client) -> None:
    ended = timezone.now() - timedelta(days=2)
    voucher = shop.voucher(starts_at=timezone.now() - timedelta(days=9), ends_at=ended)

    status, html = check(client, shop.code(voucher))

    assert status == 410
    assert f"This voucher expired on {timezone.localtime(ended):%-d %b %Y}" in html


def test_a_used_up_one_says_so_and_shows_no_counter(shop: Shop, client: Client) -> None:
    voucher = shop.voucher(max_redemptions=1)
    other, buyer = shop.customer("initech")
    browser = Client()
    browser.force_login(buyer)
    browser.post("/redeem/balance/", {"code": shop.code(voucher), "organization": other.slug})

    status, html = check(client, shop.code(voucher))

    assert (status, "All uses of this voucher are taken" in html) == (410, True)


@pytest.mark.usefixtures("one_window")
def test_too_many_tries_say_how_long_to_wait(shop: Shop, client: Client) -> None:
    client.force_login(shop.buyer)
    for _number in range(5):
        assert check(client, "NEVER-2026")[0] == 404

    status, html = check(client, "NEVER-2026")

    assert (status, "Too many tries. Wait" in html) == (429, True)


def test_a_good_one_shows_its_value_and_redeems_nothing(shop: Shop, client: Client) -> None:
    status, html = check(client, shop.code(shop.voucher(description="Welcome")))

    assert status == 200
    assert "OMR\u00a010.000" in html
    assert "Welcome" in html
    assert "Use it in a new order" in html
    assert "Add to balance of" not in html
    assert nothing_happened()


def test_one_that_covers_the_cart_says_so(shop: Shop, client: Client) -> None:
    client.post("/cart/add/", {"blueprint": "wordpress"})
    client.post("/cart/add/", {"plan": "m"})

    _status, html = check(client, shop.code(shop.voucher(60_000)))

    assert "Covers this order. No card needed" in html


def test_used_in_an_order_it_waits_on_the_cart(shop: Shop, client: Client) -> None:
    voucher = shop.voucher()

    response = client.post("/redeem/order/", {"code": shop.code(voucher)})

    assert (response.status_code, response.headers["Location"]) == (303, "/checkout/plan/")
    assert voucher_code_of(Cart.objects.get()) == shop.code(voucher)
    assert nothing_happened()
    assert "This voucher is already on your order" in check(client, shop.code(voucher))[1]


def test_added_to_a_balance_it_says_what_is_there_now(shop: Shop, client: Client) -> None:
    client.force_login(shop.buyer)
    voucher = shop.voucher()

    response = client.post("/redeem/balance/", {"code": shop.code(voucher), "organization": "acme"})

    html = response.content.decode()
    assert response.status_code == 201
    assert html.count("OMR\u00a010.000") == 2
    assert LedgerEntry.objects.filter(kind="voucher_grant", amount_minor=10_000).count() == 1


def test_added_twice_it_names_the_earlier_use(shop: Shop, client: Client) -> None:
    client.force_login(shop.buyer)
    voucher = shop.voucher()
    client.post("/redeem/balance/", {"code": shop.code(voucher), "organization": "acme"})

    response = client.post("/redeem/balance/", {"code": shop.code(voucher), "organization": "acme"})

    assert response.status_code == 409
    assert f"Your organization used this voucher on {timezone.localdate():%-d %b %Y}" in response.content.decode()
    assert LedgerEntry.objects.filter(kind="voucher_grant").count() == 1


def test_places_held_by_open_orders_are_told_from_used_ones(shop: Shop, client: Client) -> None:
    voucher = shop.voucher(max_redemptions=1)
    Voucher.objects.filter(pk=voucher.pk).update(reserved_count=1)
    client.force_login(shop.buyer)

    response = client.post("/redeem/balance/", {"code": shop.code(voucher), "organization": "acme"})

    Voucher.objects.filter(pk=voucher.pk).update(reserved_count=0)
    assert response.status_code == 409
    assert "All remaining uses are held by open orders" in response.content.decode()
    assert nothing_happened()


@pytest.mark.parametrize("slug", ["acme", "globex", "nowhere"])
def test_without_the_right_nobody_adds(shop: Shop, client: Client, slug: str) -> None:
    factories.OrganizationFactory.create(slug="globex")
    viewer = factories.MembershipFactory.create(organization=shop.organization, role=Membership.Role.VIEWER).user
    client.force_login(viewer)

    response = client.post("/redeem/balance/", {"code": shop.code(shop.voucher()), "organization": slug})

    assert response.status_code == 403
    assert "Only a billing administrator can use vouchers here" in response.content.decode()
    assert nothing_happened()


def test_arabic_speaks_arabic(shop: Shop, client: Client) -> None:
    response = client.post("/ar/redeem/", {"code": "NEVER-2026"})

    assert (response.status_code, "لم نعثر على هذا الرمز" in response.content.decode()) == (404, True)
