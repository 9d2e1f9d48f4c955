"""A secret that a buyer types: sealed apart before there is an Application, and in the store when it is installed."""

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.models import Cart, Order, SubscriptionChange
from catalyst.core.models import Outbox
from catalyst.core.outbox import as_message
from marketplace.models import Application, ApplicationSecret, BlueprintVersion, TypedSecret
from marketplace.selectors.secrets import has_handle
from marketplace.services.secret_delivery import deliver_due
from marketplace.services.typed_secrets import KEPT_FOR, forget_typed_secrets, keep_typed_secrets
from marketplace.tasks import deliver_order
from tests.billing.api.calls import refusal
from tests.billing.changing import stock
from tests.billing.shop import Shop, books
from tests.factories import BlueprintVersionFactory
from tests.marketplace.deliver_rows import NOW, Desk
from tests.marketplace.upgrade_rows import publish
from tests.pages.test_checkout_wizard import fill, page, pay
from tests.pages.test_configure_page import tables_with
from tests.secret_store import SandboxStore

pytestmark = pytest.mark.django_db(transaction=True)

DETAILS = "/checkout/addons/"
PASSWORD = "config.bp-wordpress.mail.password"
CANARY = "Canary-4711-swordfish"
NODE = {"type": "string", "title": "Mail password", "minLength": 8, "x-catalyst-ui-hint": "password"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["mail"],
    "properties": {
        "mail": {"type": "object", "title": "Mail", "required": ["password"], "properties": {"password": NODE}}
    },
}


@pytest.fixture
def asking(shop_without_processor: Shop, client: Client) -> Shop:
    """Let the shop's Application require a secret, and put it into the buyer's Cart."""
    old = BlueprintVersion.objects.get()
    publish("wordpress", "1.1.0", spec={**old.contract["spec"], "configSchema": SCHEMA})
    client.force_login(shop_without_processor.buyer)
    fill(client)
    return shop_without_processor


def answer(client: Client, **more: str) -> Any:
    return client.post(DETAILS, {"organization": "acme", **more})


def test_it_is_asked_and_nothing_is_sold_without_it(asking: Shop, client: Client) -> None:
    assert page(client, DETAILS).count(f'type="password" id="id_{PASSWORD}"') == 1

    empty, short = answer(client), answer(client, **{PASSWORD: "short"})

    assert (empty.status_code, "Fill this in." in empty.content.decode()) == (422, True)
    assert (short.status_code, "short" in short.content.decode()) == (422, False)
    assert (Cart.objects.get().config, TypedSecret.objects.count()) == ({}, 0)


def test_it_is_kept_sealed_and_never_shown(asking: Shop, client: Client) -> None:
    assert answer(client, **{PASSWORD: CANARY}).status_code == 303

    kept = TypedSecret.objects.get()
    named = {"secret": "mail.password", "key": kept.handle}
    assert Cart.objects.get().config == {"bp-wordpress": {"mail": {"password": named}}}
    assert tables_with(CANARY) == []
    html = page(client, DETAILS)
    assert "You have typed it. It is never shown." in html
    assert CANARY not in html
    # Going on without typing it again keeps it.
    assert answer(client).status_code == 303
    assert Cart.objects.get().config == {"bp-wordpress": {"mail": {"password": named}}}


def test_bought_it_reaches_the_store_and_is_nowhere_else(
    asking: Shop, client: Client, secret_store: SandboxStore, catalyst_home: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer(client, **{PASSWORD: CANARY})
    client.post("/checkout/voucher/", {"code": asking.code(asking.voucher(60_000))})
    assert pay(client).status_code == 303
    assert Order.objects.get().state == "paid"

    deliver_order(as_message(Outbox.objects.get(topic="order.paid")))
    deliver_due(now=timezone.now())

    row = Application.objects.get(slug="wordpress")
    assert row.config == {"mail": {"password": {"secret": "mail.password"}}}
    assert secret_store.data("org/acme/env/prod/wordpress") == {"mail.password": CANARY}
    assert (ApplicationSecret.objects.get().ciphertext, TypedSecret.objects.count()) == ("", 0)
    assert tables_with(CANARY) == []
    tree = Desk(asking.organization, asking.buyer).tree()
    assert [path for path, content in tree.items() if CANARY.encode() in content] == []
    assert b'secret: "mail.password"' in tree["apps/wordpress/application.yaml"]
    assert CANARY not in caplog.text


def test_delivered_twice_it_is_taken_once(
    asking: Shop, client: Client, secret_store: SandboxStore, catalyst_home: Any
) -> None:
    answer(client, **{PASSWORD: CANARY})
    client.post("/checkout/voucher/", {"code": asking.code(asking.voucher(60_000))})
    pay(client)
    message = as_message(Outbox.objects.get(topic="order.paid"))

    for _time in range(2):
        deliver_order(message)

    assert ApplicationSecret.objects.filter(is_generated=False).count() == 1


def test_without_a_store_it_cannot_be_bought(asking: Shop, client: Client, settings: Any) -> None:
    settings.SECRET_STORE = ""

    html = answer(client, **{PASSWORD: CANARY}).content.decode()

    assert "This needs a secret, and secrets cannot be set here yet. Choose another app." in html
    assert CANARY not in html
    assert TypedSecret.objects.count() == 0


@pytest.mark.parametrize("key", [{}, {"key": f"t{'0' * 40}"}])
def test_over_the_api_a_name_alone_buys_nothing(asking: Shop, key: dict[str, str]) -> None:
    config = {"bp-wordpress": {"mail": {"password": {"secret": "mail.password", **key}}}}
    assert not key or has_handle(config["bp-wordpress"]["mail"]["password"])

    for said in (asking.calls().quote(config=config), asking.calls().buy(config=config)):
        assert refusal(said) == (422, "configuration_refused")
        assert said.json()["errors"][0]["pointer"] == "/config/bp-wordpress/mail/password"
    assert books(asking).orders == []


def test_over_the_api_it_is_typed_first(asking: Shop) -> None:
    calls = asking.calls()
    said = calls.post("typed-secrets/", {"blueprint": "bp-wordpress", "setting": "mail.password", "value": CANARY})
    assert (said.status_code, CANARY in said.content.decode()) == (201, False)
    config = {"bp-wordpress": {"mail": {"password": said.json()}}}

    bought = calls.buy(config=config, voucher_code=asking.code(asking.voucher(60_000)))

    assert bought.status_code == 201
    assert CANARY not in json.dumps(Outbox.objects.get(topic="order.paid").payload)


def test_a_change_of_a_subscription_takes_it_along(shop_without_processor: Shop, client: Client) -> None:
    shop = shop_without_processor
    stock(shop)
    old = BlueprintVersion.objects.get(blueprint__slug="bookstack")
    contract = {"spec": {**old.contract["spec"], "configSchema": SCHEMA}}
    BlueprintVersionFactory.create(
        blueprint=old.blueprint, version="1.1.0", major=1, minor=1, patch=0, contract=contract
    )
    shop.buy(voucher_code=shop.code(shop.voucher(200_000)))
    client.force_login(shop.buyer)
    field = {"config.bp-bookstack.mail.password": CANARY}
    asked = {"add": "bp-bookstack", "key": "change-2026-11-24", **field}

    sent = [client.post("/console/acme/billing/prod/change/", asked).status_code for _time in range(2)]

    assert sent == [303, 303]
    handle = TypedSecret.objects.get().handle
    assert SubscriptionChange.objects.get().config == {
        "bp-bookstack": {"mail": {"password": {"secret": "mail.password", "key": handle}}}
    }


def test_a_handle_opens_nothing_for_another_blueprint(
    shop_without_processor: Shop, secret_store: SandboxStore, catalyst_home: Any
) -> None:
    shop = shop_without_processor
    publish("wiki", "1.0.0", spec={"configSchema": SCHEMA})
    kept = keep_typed_secrets(scope="x", blueprint="bp-other", values={"mail.password": CANARY}, now=NOW)
    config = {"mail": {"password": {"secret": "mail.password", "key": kept["mail.password"]}}}

    desk = Desk(shop.organization, shop.buyer)
    desk.deliver(desk.order("OMN-2026-000001", "bp-wiki", **{"bp-wiki": config}))

    assert (ApplicationSecret.objects.count(), TypedSecret.objects.count()) == (0, 1)
    assert Application.objects.get(slug="wiki").config == {"mail": {"password": {"secret": "mail.password"}}}


def test_what_nobody_orders_is_forgotten(sovereign: Any) -> None:
    keep_typed_secrets(scope="x", blueprint="bp-wiki", values={"password": CANARY}, now=NOW)

    assert forget_typed_secrets(now=NOW + KEPT_FOR) == 0
    assert forget_typed_secrets(now=NOW + KEPT_FOR + timedelta(seconds=1)) == 1
