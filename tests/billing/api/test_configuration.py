"""What the Applications of an Order are told is judged before it is quoted or sold."""

from typing import Any

import pytest

from billing.models import SubscriptionChange
from catalyst.core.models import Outbox
from marketplace.models import BlueprintVersion
from tests.billing.api.calls import Calls, refusal
from tests.billing.changing import stock, untouched
from tests.billing.shop import Shop, books
from tests.factories import BlueprintVersionFactory

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = {
    "type": "object",
    "required": ["adminEmail", "title", "hostname"],
    "properties": {
        "adminEmail": {"type": "string", "format": "email"},
        "title": {"type": "string", "maxLength": 10},
        "hostname": {"type": "string", "format": "hostname", "x-catalyst-ui-hint": "domain-picker"},
        "password": {"type": "string", "x-catalyst-ui-hint": "password"},
        "mail": {
            "type": "object",
            "oneOf": [
                {"properties": {"mode": {"const": "none"}}, "required": ["mode"]},
                {"properties": {"mode": {"const": "own"}, "ref": {"type": "string"}}, "required": ["mode", "ref"]},
            ],
        },
    },
}


@pytest.fixture(autouse=True)
def asking(shop_without_processor: Shop) -> None:
    """Let the newest version of the shop's Application ask something."""
    old = BlueprintVersion.objects.get()
    contract = {"spec": {**old.contract["spec"], "configSchema": SCHEMA}}
    BlueprintVersionFactory.create(
        blueprint=old.blueprint, version="1.1.0", major=1, minor=1, patch=0, contract=contract
    )


@pytest.mark.parametrize(
    ("config", "pointers"),
    [
        ({}, ["/config/bp-wordpress/title"]),
        ({"bp-wordpress": {"title": "A title too long"}}, ["/config/bp-wordpress/title"]),
        ({"bp-wordpress": {"title": 7, "mail": {"mode": "own"}}}, ["mail/ref", "title"]),
        ({"bp-wordpress": {"title": "Site", "mail": {"mode": "pigeon"}}}, ["/config/bp-wordpress/mail"]),
        ({"bp-wordpress": {"title": "Site", "color": "red"}}, ["/config/bp-wordpress"]),
        ({"bp-wordpress": {"title": "Site", "hostname": "bank.om"}}, ["/config/bp-wordpress/hostname"]),
        ({"bp-wordpress": {"title": "Site", "password": "plain"}}, ["/config/bp-wordpress/password"]),
        ({"bp-wordpress": {"title": "Site\u0000"}}, ["/config/bp-wordpress/title"]),
        ({"bp-wordpress": {"title": "Site"}, "bp-ghost": {}}, ["/config/bp-ghost"]),
    ],
)
def test_refuses_what_does_not_fit(
    buyer: Calls, shop_without_processor: Shop, config: dict[str, Any], pointers: list[str]
) -> None:
    shop = shop_without_processor
    code = shop.code(shop.voucher(60_000))
    wanted = [path if path.startswith("/") else f"/config/bp-wordpress/{path}" for path in pointers]

    for answer in (buyer.quote(config=config), buyer.buy(config=config, voucher_code=code)):
        assert refusal(answer) == (422, "configuration_refused")
        assert [problem["pointer"] for problem in answer.json()["problems"]] == wanted
        assert answer.json()["errors"][0]["pointer"] == wanted[0]
    assert (books(shop).orders, books(shop).posted) == ([], 0)


def test_sells_what_fits_and_the_order_says_it(buyer: Calls, shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    config = {"bp-wordpress": {"title": "Site", "mail": {"mode": "own", "ref": "post"}}}
    assert buyer.quote(config=config).status_code == 200

    answer = buyer.buy(config=config, voucher_code=shop.code(shop.voucher(60_000)))

    assert (answer.status_code, answer.json()["state"]) == (201, "completed")
    assert books(shop).orders == ["paid"]
    assert Outbox.objects.get(topic="order.paid").payload["config"] == config


@pytest.mark.parametrize("config", [[], {"bp-wordpress": []}, {"bp-wordpress": "title"}, "title"])
def test_refuses_what_is_no_configuration(buyer: Calls, config: Any) -> None:
    assert refusal(buyer.quote(config=config)) == (400, "invalid_request")


def test_a_change_is_judged_the_same_way(shop_without_processor: Shop, asking: None) -> None:
    shop, calls = shop_without_processor, shop_without_processor.calls()
    stock(shop)
    told = {"bp-wordpress": {"title": "Site"}}
    calls.buy(config=told, voucher_code=shop.code(shop.voucher(200_000)))
    before = untouched(shop)
    add: dict[str, Any] = {"blueprints": ["bp-wordpress"]}

    preview = calls.post("subscription/change/", {"add": add, "preview": True})
    answer = calls.post("subscription/change/", {"add": add}, **{"Idempotency-Key": "change-2026-11-24"})

    assert (preview.status_code, preview.json()["problem"]["code"]) == (200, "configuration_refused")
    assert refusal(answer) == (422, "configuration_refused")
    assert answer.json()["errors"][0]["pointer"] == "/add/config/bp-wordpress/title"
    assert untouched(shop) == before
    add["config"] = told
    sold = calls.post("subscription/change/", {"add": add}, **{"Idempotency-Key": "change-2026-11-25"})
    assert sold.status_code == 201
    assert SubscriptionChange.objects.get().config == told
