"""POST /api/v1/vouchers/redeem-preview/: open to anybody, and silent about everything but the code itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from billing.models import CodeAttempt, Voucher
from billing.services.vouchers import revoke_voucher, set_voucher_active
from tests.billing.api.calls import omr, refusal
from tests.billing.shop import Shop, books

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/vouchers/redeem-preview/"


def _preview(client: APIClient, code: Any) -> Any:
    response = client.post(URL, {"code": code}, format="json")
    assert response["Cache-Control"] == "no-store"
    return response


@pytest.mark.parametrize("spell", [str, str.lower, lambda code: code.replace("-", " "), lambda code: f" {code}\n"])
def test_shows_a_live_code_to_anybody(
    spell: Callable[[str], str], shop_without_processor: Shop, api: APIClient
) -> None:
    voucher = shop_without_processor.voucher(5_000, code="RAMADAN-2026", description="Ramadan gift")
    before = books(shop_without_processor, voucher)

    response = _preview(api, spell("RAMADAN-2026"))

    assert response.status_code == 200
    assert response.json() == {
        "code": "RAMADAN-2026",
        "credit": omr(5_000),
        "description": "Ramadan gift",
        "accepting_redemptions": True,
    }
    assert books(shop_without_processor, voucher) == before


def test_works_signed_in(shop_without_processor: Shop, api_as: Callable[..., APIClient]) -> None:
    code = shop_without_processor.code(shop_without_processor.voucher())

    assert _preview(api_as(shop_without_processor.buyer), code).status_code == 200


def test_unknown_and_revoked_look_the_same(shop_without_processor: Shop, api: APIClient) -> None:
    shop = shop_without_processor
    voucher = shop.voucher()
    revoke_voucher(voucher_id=voucher.pk, actor=shop.staff, now=timezone.now())

    revoked, unknown = _preview(api, shop.code(voucher)), _preview(api, "NOSUCHCODE")

    assert refusal(revoked) == (404, "voucher_not_found")
    assert revoked.content == unknown.content
    assert revoked.headers.items() == unknown.headers.items()
    assert set(CodeAttempt.objects.values_list("failures", flat=True)) == {2}


def _expired(shop: Shop) -> Voucher:
    day = timedelta(days=1)
    return shop.voucher(starts_at=timezone.now() - 2 * day, ends_at=timezone.now() - day, description="Gift")


def _not_yet(shop: Shop) -> Voucher:
    return shop.voucher(starts_at=timezone.now() + timedelta(days=1), description="Gift")


def _paused(shop: Shop) -> Voucher:
    voucher = shop.voucher(description="Gift")
    set_voucher_active(voucher_id=voucher.pk, active=False, actor=shop.staff)
    return voucher


def _used_up(shop: Shop) -> Voucher:
    voucher = shop.voucher(60_000, max_redemptions=1, description="Gift")
    organization, user = shop.customer("globex")
    shop.buy(organization=organization, buyer=user, voucher_code=shop.code(voucher))
    return voucher


@pytest.mark.parametrize("close", [_expired, _not_yet, _paused, _used_up])
def test_closed_codes_all_answer_alike(
    close: Callable[[Shop], Voucher], shop_without_processor: Shop, api: APIClient
) -> None:
    voucher = close(shop_without_processor)

    response = _preview(api, shop_without_processor.code(voucher))

    assert refusal(response) == (410, "voucher_not_accepting")
    assert response.json() == {
        "type": "/problems/voucher_not_accepting",
        "title": "Gone",
        "status": 410,
        "detail": "This voucher is not accepting redemptions now.",
        "code": "voucher_not_accepting",
        "errors": [],
        "voucher_code": shop_without_processor.code(voucher),
        "credit": omr(voucher.grant_minor),
        "description": "Gift",
        "accepting_redemptions": False,
    }


@pytest.mark.parametrize("code", ["", "   ", None, ["x"]])
def test_refuses_a_blank(code: Any, shop_without_processor: Shop, api: APIClient) -> None:
    assert refusal(_preview(api, code)) == (400, "invalid_request")
    assert not CodeAttempt.objects.exclude(scope__startswith="preview:").exists()


@pytest.mark.parametrize("code", ["x", "?" * 300, "0123-4567-89AB-CDEF-0"])
def test_does_not_count_what_cannot_be_a_code(code: str, shop_without_processor: Shop, api: APIClient) -> None:
    """Too short, too long, or a generated code that was mistyped."""
    assert refusal(_preview(api, code)) == (404, "voucher_not_found")
    assert not CodeAttempt.objects.exclude(scope__startswith="preview:").exists()


@pytest.mark.usefixtures("one_window")
def test_stops_guessing(shop_without_processor: Shop, api_as: Callable[..., APIClient]) -> None:
    client = api_as(shop_without_processor.buyer)
    right = shop_without_processor.code(shop_without_processor.voucher())
    for number in range(5):
        assert _preview(client, f"NOSUCHCODE{number}").status_code == 404

    refused = _preview(client, right)

    assert refusal(refused) == (429, "too_many_tries")
    assert int(refused["Retry-After"]) > 0


@pytest.mark.usefixtures("one_window")
def test_a_forged_address_does_not_reset_the_count(shop_without_processor: Shop, api: APIClient) -> None:
    for number in range(20):
        api.post(URL, {"code": f"NOSUCHCODE{number}"}, format="json", headers={"X-Forwarded-For": f"192.0.2.{number}"})

    refused = api.post(URL, {"code": "NOSUCHCODE"}, format="json", headers={"X-Forwarded-For": "192.0.2.99"})

    assert refusal(refused) == (429, "too_many_tries")


@pytest.mark.usefixtures("one_window")
def test_stops_an_address_that_previews_too_often(shop_without_processor: Shop, api: APIClient) -> None:
    code = shop_without_processor.code(shop_without_processor.voucher())
    answers = [_preview(api, code).status_code for _ in range(60)]

    refused = _preview(api, code)

    assert answers == [200] * 60
    assert refusal(refused) == (429, "too_many_tries")
    assert int(refused["Retry-After"]) > 0
