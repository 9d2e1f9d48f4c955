"""The money pages of the admin: who sees what, what may be done, and that money itself cannot be edited."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import BillingSettings, Checkout, Order, StripeEvent, Voucher
from billing.services.settings import secret_state
from billing.services.vouchers import reveal_code
from tenancy.models import AuditEntry, User
from tests.billing.shop import Shop, books
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

LISTS = ("account", "ledgerentry", "order", "checkout", "stripeevent", "voucher")


def _url(model: str, *parts: object) -> str:
    return "/admin/billing/" + "".join(f"{part}/" for part in (model, *parts))


@pytest.fixture
def admin(shop_without_processor: Shop) -> Client:
    client = Client()
    client.force_login(shop_without_processor.staff)
    return client


@pytest.fixture
def as_support() -> Callable[..., Client]:
    def make(*groups: str) -> Client:
        client = Client()
        client.force_login(UserFactory.create(staff_role=User.StaffRole.SUPPORT, staff_groups=list(groups)))
        return client

    return make


def _sell(shop: Shop, slug: str = "customer") -> None:
    organization, user = shop.customer(slug)
    shop.buy(organization=organization, buyer=user, voucher_code=shop.code(shop.voucher(60_000)))


def _act(client: Client, model: str, action: str, key: object, **more: str) -> Any:
    return client.post(_url(model), {"action": action, "_selected_action": str(key), **more}, follow=True)


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("model", LISTS)
def test_more_rows_need_no_more_statements(
    model: str, language: str, admin: Client, shop_without_processor: Shop
) -> None:
    statements = []
    for number in range(3):
        _sell(shop_without_processor, f"customer-{number}")
        StripeEvent.objects.create(id=f"evt_{number}", type="x", livemode=False, created=timezone.now(), payload={})
        with CaptureQueriesContext(connection) as queries:
            response = admin.get(_url(model), headers={"Accept-Language": language})
        assert len(response.context["cl"].result_list) > number
        statements.append(len(queries))

    assert statements[1:] == [statements[1]] * 2
    assert statements[1] <= 25


@pytest.mark.parametrize("model", ["account", "ledgerentry", "order", "checkout", "voucher"])
def test_money_is_read_only(model: str, admin: Client, shop_without_processor: Shop) -> None:
    _sell(shop_without_processor)
    key = admin.get(_url(model)).context["cl"].result_list[0].pk
    before = (books(shop_without_processor), Order.objects.values().get(), Voucher.objects.values().get())

    page = admin.get(_url(model, key, "change"))
    written = admin.post(_url(model, key, "change"), {"state": "paid", "grant_minor": "1"})

    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    assert written.status_code == 403
    assert admin.post(_url(model, key, "delete"), {"post": "yes"}).status_code == 403
    assert (books(shop_without_processor), Order.objects.values().get(), Voucher.objects.values().get()) == before


def test_support_sees_orders_and_neither_codes_nor_keys(
    shop_without_processor: Shop, as_support: Callable[..., Client]
) -> None:
    _sell(shop_without_processor)
    support, finance = as_support(), as_support("finance")

    assert support.get(_url("order")).status_code == 200
    assert support.get(_url("voucher")).status_code == 403
    assert support.get(_url("billingsettings")).status_code == 403
    assert finance.get(_url("voucher")).status_code == 200
    assert finance.get(_url("billingsettings")).status_code == 403


def test_shows_the_history_of_a_checkout(admin: Client, shop_without_processor: Shop) -> None:
    _sell(shop_without_processor)

    page = admin.get(_url("checkout", Checkout.objects.get().pk, "change")).content.decode()

    assert Order.objects.get().number in page
    assert "completed" in page
    assert "OMR\u00a050.000" in page


def test_shows_what_the_processor_replied(admin: Client, shop: Shop) -> None:
    shop.buy()

    page = admin.get(_url("checkout", Checkout.objects.get().pk, "change")).content.decode()

    assert "Reply (HTTP status)" in page
    assert re.findall(r"<td class=\"field-reply\">\s*<p>(\w+)</p>", page) == ["200"]


def test_issues_a_voucher_and_shows_its_code(admin: Client, shop_without_processor: Shop) -> None:
    fields = {"credit": "12.5", "description": "Launch", "per_organization_limit": "1", "max_redemptions": "7"}

    page = admin.post(_url("voucher", "add"), fields, follow=True).content.decode()

    voucher = Voucher.objects.get()
    assert (voucher.grant_minor, voucher.max_redemptions) == (12_500, 7)
    assert voucher.issued_by == shop_without_processor.staff
    assert reveal_code(voucher) in page
    listed = admin.get(_url("voucher")).content.decode()
    assert f"…{voucher.code_hint}" in listed
    assert reveal_code(voucher) not in listed


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"credit": "12,500"}, "credit"),
        ({"credit": "0"}, "credit"),
        ({"code": "abc"}, "code"),
        ({"code": "TAKEN-CODE"}, "code"),
        ({"starts_at": "2026-02-01T00:00", "ends_at": "2026-01-01T00:00"}, "ends_at"),
    ],
)
def test_refuses_a_voucher_beside_its_field(
    changes: dict[str, str], field: str, admin: Client, shop_without_processor: Shop
) -> None:
    shop_without_processor.voucher(code="TAKEN-CODE")

    response = admin.post(_url("voucher", "add"), {"credit": "5", "per_organization_limit": "1", **changes})

    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert Voucher.objects.count() == 1


@pytest.mark.parametrize(
    ("action", "expected"), [("pause", (False, False)), ("resume", (True, False)), ("revoke", (True, True))]
)
def test_asks_before_it_acts(
    action: str, expected: tuple[bool, bool], admin: Client, shop_without_processor: Shop
) -> None:
    voucher = shop_without_processor.voucher()
    trail = AuditEntry.objects.count()

    asked = _act(admin, "voucher", action, voucher.pk)

    assert b'name="confirmed"' in asked.content
    assert AuditEntry.objects.count() == trail
    _act(admin, "voucher", action, voucher.pk, confirmed="yes")
    voucher.refresh_from_db()
    assert (voucher.active, voucher.revoked_at is not None) == expected
    assert AuditEntry.objects.count() == trail + 1


def test_says_which_voucher_could_not_be_revoked(admin: Client, shop_without_processor: Shop) -> None:
    voucher = shop_without_processor.voucher()
    _act(admin, "voucher", "revoke", voucher.pk, confirmed="yes")

    answer = _act(admin, "voucher", "revoke", voucher.pk, confirmed="yes")

    assert [str(message) for message in answer.context["messages"]] == [
        f"…{voucher.code_hint}: There is no live voucher with this code."
    ]


def test_follows_the_processor_when_a_person_asks(admin: Client, shop: Shop) -> None:
    shop.buy()
    assert shop.standin is not None
    (session,) = shop.standin.sessions(status="open")
    shop.standin.pay(session["id"])

    _act(admin, "checkout", "recheck_payment", Checkout.objects.get().pk, confirmed="yes")

    assert (Checkout.objects.get().state, Order.objects.get().state) == ("completed", "paid")
    assert AuditEntry.objects.filter(action="checkout.rechecked").count() == 1


def test_says_when_the_processor_cannot_be_asked(admin: Client, shop: Shop) -> None:
    shop.buy()
    assert shop.standin is not None
    before = books(shop)

    with shop.standin.outage():
        answer = _act(admin, "checkout", "recheck_payment", Checkout.objects.get().pk, confirmed="yes")

    (message,) = answer.context["messages"]
    assert (message.level_tag, str(message).startswith(Order.objects.get().number)) == ("error", True)
    assert books(shop) == before


def test_replays_a_dead_event(admin: Client, shop_without_processor: Shop) -> None:
    now = timezone.now()
    dead = {"type": "x", "livemode": False, "created": now, "payload": {}, "done_at": now, "attempts": 8}
    StripeEvent.objects.create(id="evt_dead", state="dead", **dead)
    StripeEvent.objects.create(id="evt_done", state="done", **dead)

    for key in ("evt_dead", "evt_done"):
        _act(admin, "stripeevent", "replay", key, confirmed="yes")

    states = dict(StripeEvent.objects.values_list("pk", "state"))
    assert states == {"evt_dead": "pending", "evt_done": "done"}


def test_an_empty_field_never_wipes_a_stored_key(admin: Client, shop_without_processor: Shop) -> None:
    first = {"stripe_secret_key": "sk_test_0123456789", "stripe_webhook_secret": "whsec_abcdefgh"}
    admin.post(_url("billingsettings"), first)

    answer = admin.post(_url("billingsettings"), {"stripe_publishable_key": "pk_test_wxyz"}, follow=True)

    page = answer.content.decode()
    assert "6789" in page
    assert "sk_test_0123456789" not in page
    assert (secret_state("stripe_secret_key").last4, secret_state("stripe_webhook_secret").last4) == ("6789", "efgh")
    assert BillingSettings.objects.get().stripe_publishable_key == "pk_test_wxyz"


def test_clears_one_key_and_refuses_a_wrong_one(admin: Client, shop_without_processor: Shop) -> None:
    admin.post(_url("billingsettings"), {"stripe_secret_key": "sk_test_0123456789"})

    wrong = admin.post(_url("billingsettings"), {"stripe_secret_key": "pk_test_wrong"})
    both = admin.post(_url("billingsettings"), {"stripe_secret_key": "sk_test_new1", "clear_stripe_secret_key": "on"})

    assert [list(each.context["form"].errors) for each in (wrong, both)] == [["stripe_secret_key"]] * 2
    assert secret_state("stripe_secret_key").last4 == "6789"
    admin.post(_url("billingsettings"), {"clear_stripe_secret_key": "on"})
    assert not secret_state("stripe_secret_key").configured
