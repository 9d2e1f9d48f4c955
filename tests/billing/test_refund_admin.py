"""The staff's pages of refunds, disputes and credit by hand: who may, what is asked, what happens."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import Account, CreditGrant, CreditNote, Dispute, Invoice, Order
from billing.services.credit_grants import request_grant
from billing.services.disputes import follow_dispute
from billing.services.psp import get_processor
from catalyst.core.money import Money
from tenancy.models import AuditEntry, User
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop, books
from tests.billing.sold import CARD_MINOR, Sold, sell
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def _url(model: str, *parts: object) -> str:
    return "/admin/billing/" + "".join(f"{part}/" for part in (model, *parts))


def _as(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def as_support() -> Callable[..., Client]:
    def make(*groups: str) -> Client:
        return _as(UserFactory.create(staff_role=User.StaffRole.SUPPORT, staff_groups=list(groups)))

    return make


@pytest.fixture
def admin(shop_without_processor: Shop) -> Client:
    return _as(shop_without_processor.staff)


@pytest.fixture
def sold(shop_without_processor: Shop) -> Sold:
    """An order that credit paid."""
    return sell(shop_without_processor, voucher_minor=PLAN_MINOR)


def _act(client: Client, model: str, action: str, key: object, **more: str) -> Any:
    return client.post(_url(model), {"action": action, "_selected_action": str(key), **more}, follow=True)


def _hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of a page's form, as a browser would send them back."""
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {unescape(name): unescape(value) for name, value in fields if name != "csrfmiddlewaretoken"}


# --- refund --------------------------------------------------------------------------------------------------------
def test_a_refund_spells_its_effect_out_before_it_happens(admin: Client, sold: Sold) -> None:
    address = _url("invoice", sold.invoice.pk, "refund")
    form = admin.get(address).content.decode()
    assert "OMR\u00a050.000" in form

    asked = admin.post(address, {**_hidden(form), "amount": "50", "reason": "Wrong plan"}).content.decode()
    assert "OMR\u00a050.000 is added to the credit balance." in asked
    assert "The order becomes refunded." in asked
    assert "The subscription ends at once." in asked
    assert sold.state()["notes"] == []

    done = admin.post(address, _hidden(asked), follow=True)
    again = admin.post(address, _hidden(asked), follow=True)

    assert "The refund is done and its credit note is issued." in done.content.decode()
    assert again.status_code == 200
    assert sold.state()["notes"] == [(0, PLAN_MINOR, "settled")]
    note = CreditNote.objects.get()
    assert (note.reason, note.issued_by) == ("Wrong plan", f"user:{sold.shop.staff.uuid}")


def test_a_part_says_that_the_subscription_stays(admin: Client, sold: Sold) -> None:
    address = _url("invoice", sold.invoice.pk, "refund")
    form = admin.get(address).content.decode()

    asked = admin.post(address, {**_hidden(form), "amount": "5.000", "reason": "Slow"}).content.decode()

    assert "The subscription and its Applications stay as they are." in asked


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"amount": "50.010", "reason": "x"}, "This is more than what was paid"),
        ({"amount": "5.000", "reason": "x", "confirmed": "yes"}, "Another refund of this invoice came first."),
        ({"amount": "5.000", "reason": "x", "confirmed": "yes", "card_minor": "²"}, "Another refund of this invoice"),
        ({"amount": "5.000", "reason": "x", "confirmed": "yes", "card_minor": "10"}, "Another refund of this invoice"),
        ({"amount": "5,000", "reason": "x"}, "Write the amount like 12.500, with a point."),
        ({"amount": "5.000", "reason": ""}, "This field is required."),
    ],
)
def test_a_refusal_stands_in_the_form(admin: Client, sold: Sold, fields: dict[str, str], sentence: str) -> None:
    address = _url("invoice", sold.invoice.pk, "refund")
    form = admin.get(address).content.decode()

    page = admin.post(address, {**_hidden(form), **fields})

    assert page.status_code == 422
    assert sentence in unescape(page.content.decode())
    assert sold.state()["notes"] == []


def test_what_the_card_cannot_move_is_refused_before_the_question(shop: Shop) -> None:
    sold, admin = sell(shop), _as(shop.staff)
    address = _url("invoice", sold.invoice.pk, "refund")
    form = admin.get(address).content.decode()

    page = admin.post(address, {**_hidden(form), "amount": "5.005", "reason": "x"})

    assert page.status_code == 422
    assert "The card processor moves whole steps only." in page.content.decode()
    assert sold.state()["notes"] == []


def test_an_invoice_with_nothing_left_leads_to_no_refund(admin: Client, sold: Sold) -> None:
    sold.refund(None)

    page = admin.get(_url("invoice", sold.invoice.pk, "change"))

    assert page.status_code == 200
    assert _url("invoice", sold.invoice.pk, "refund") not in page.content.decode()
    assert admin.get(_url("invoice", "²", "change")).status_code == 302


def test_the_invoice_leads_to_its_refund_for_who_may(
    admin: Client, sold: Sold, as_support: Callable[..., Client]
) -> None:
    page, address = _url("invoice", sold.invoice.pk, "change"), _url("invoice", sold.invoice.pk, "refund")

    assert address in admin.get(page).content.decode()
    support = as_support()
    assert address not in support.get(page).content.decode()
    assert support.get(address).status_code == 403
    assert support.post(address, {"amount": "5", "reason": "x", "key": "k" * 32}).status_code == 403
    assert as_support("finance").get(address).status_code == 200
    assert sold.state()["notes"] == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (("invoice", "{invoice}", "refund"), {"amount": "50", "reason": "x", "card_minor": "0", "confirmed": "yes"}),
        (("order",), {"action": "cancel_and_refund", "_selected_action": "{order}", "reason": "x", "confirmed": "yes"}),
        (("creditgrant", "add"), {"organization": "company", "amount": "1", "reason": "x", "confirmed": "yes"}),
        (("creditgrant",), {}),
        (("dispute",), {}),
    ],
)
def test_a_customer_never_gets_in(sold: Sold, path: tuple[str, ...], fields: dict[str, str]) -> None:
    client, before = _as(sold.shop.buyer), sold.state()
    ids = {"invoice": sold.invoice.pk, "order": sold.invoice.order_id}
    address = _url(*[part.format(**ids) for part in path])
    sent = {name: value.format(**ids) for name, value in fields.items()}

    for answer in (client.get(address), client.post(address, {"key": "k" * 32, **sent})):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/admin/login/")

    assert sold.state() == before
    assert CreditGrant.objects.count() == 0
    # The same pages open for staff.
    assert _as(sold.shop.staff).get(address).status_code == 200


def test_an_unknown_invoice_is_not_found(admin: Client) -> None:
    assert admin.get(_url("invoice", 4711, "refund")).status_code == 404


# --- cancel and refund ---------------------------------------------------------------------------------------------
def test_an_order_is_cancelled_and_refunded_with_a_reason(admin: Client, sold: Sold) -> None:
    order = Order.objects.get(organization_id=sold.organization_id)
    asked = _act(admin, "order", "cancel_and_refund", order.pk)
    assert f"{order.number}: The subscription ends at once." in asked.content.decode()
    for reason in (" ", "x" * 501):
        without = _act(admin, "order", "cancel_and_refund", order.pk, confirmed="yes", reason=reason)
        assert without.status_code == 422
        assert "Write down the reason, in 500 characters at most." in without.content.decode()
    assert sold.state()["notes"] == []

    for _ in range(2):
        _act(admin, "order", "cancel_and_refund", order.pk, confirmed="yes", reason="It cannot be installed")

    assert sold.state()["notes"] == [(0, PLAN_MINOR, "settled")]
    assert (sold.state()["orders"], sold.state()["subscriptions"]) == (["refunded"], ["canceled"])


def test_support_without_finance_cannot_cancel_and_refund(sold: Sold, as_support: Callable[..., Client]) -> None:
    order = Order.objects.get(organization_id=sold.organization_id)

    _act(as_support(), "order", "cancel_and_refund", order.pk, confirmed="yes", reason="Because")

    assert sold.state()["notes"] == []


# --- disputes ------------------------------------------------------------------------------------------------------
def test_a_frozen_account_is_freed_with_a_reason(shop: Shop, as_support: Callable[..., Client]) -> None:
    sold, admin = sell(shop), _as(shop.staff)
    (charge,) = sold.standin.all("charge")
    dispute_id = str(sold.standin.dispute(charge["id"])["id"])
    sold.standin.close_dispute(dispute_id, won=False)
    follow_dispute(get_processor(), dispute_id, actor="webhook", now=timezone.now())
    row = Dispute.objects.get()
    assert dispute_id in admin.get(_url("dispute")).content.decode()
    assert admin.get(_url("dispute", row.pk, "change")).status_code == 200

    _act(as_support(), "dispute", "unfreeze", row.pk, confirmed="yes", reason="Because")
    assert Account.objects.get(pk=sold.organization_id).frozen_at is not None
    asked = _act(admin, "dispute", "unfreeze", row.pk)
    assert "company can spend its credit and use codes again." in asked.content.decode()
    _act(admin, "dispute", "unfreeze", row.pk, confirmed="yes", reason="Paid by transfer")

    assert Account.objects.get(pk=sold.organization_id).frozen_at is None
    assert AuditEntry.objects.get(action="account.unfrozen").detail == {"reason": "Paid by transfer"}
    assert Invoice.objects.get(pk=sold.invoice.pk).card_disputed_minor == CARD_MINOR


# --- credit by hand ------------------------------------------------------------------------------------------------
def test_credit_is_given_after_a_question_and_once(admin: Client, shop_without_processor: Shop) -> None:
    address = _url("creditgrant", "add")
    form = admin.get(address).content.decode()
    fields = {"organization": "acme", "amount": "12.5", "reason": "The outage"}

    asked = admin.post(address, {**_hidden(form), **fields}).content.decode()
    assert "OMR\u00a012.500 is added to the credit balance of Acme." in asked
    assert books(shop_without_processor).entries == []
    for _ in range(2):
        admin.post(address, _hidden(asked), follow=True)

    assert books(shop_without_processor).entries == [("manual_grant", 12_500)]


def test_a_large_amount_waits_for_a_second_person(
    admin: Client, shop_without_processor: Shop, as_support: Callable[..., Client]
) -> None:
    address = _url("creditgrant", "add")
    form = admin.get(address).content.decode()
    fields = {"organization": "acme", "amount": "50.001", "reason": "The outage"}
    asked = admin.post(address, {**_hidden(form), **fields}).content.decode()
    assert "needs a second person" in asked
    told = admin.post(address, _hidden(asked), follow=True).content.decode()
    assert "The credit waits for a second person." in told
    grant = CreditGrant.objects.get()

    own = _act(admin, "creditgrant", "approve", grant.pk, confirmed="yes").content.decode()
    assert "Somebody else has to approve it." in own
    _act(as_support(), "creditgrant", "approve", grant.pk, confirmed="yes")
    assert books(shop_without_processor).entries == []
    _act(as_support("finance"), "creditgrant", "approve", grant.pk, confirmed="yes")

    assert books(shop_without_processor).entries == [("manual_grant", 50_001)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"organization": "nobody"}, "There is no Organization with this short name."),
        ({"amount": "0"}, "Enter an amount above zero."),
        ({"amount": "1,5"}, "Write the amount like"),
    ],
)
def test_a_grant_is_refused_in_its_form(
    admin: Client, shop_without_processor: Shop, changes: dict[str, str], sentence: str
) -> None:
    form = admin.get(_url("creditgrant", "add")).content.decode()
    fields = {"organization": "acme", "amount": "12.5", "reason": "The outage", "confirmed": "yes", **changes}

    page = admin.post(_url("creditgrant", "add"), {**_hidden(form), **fields})

    assert page.status_code == 422
    assert sentence in unescape(page.content.decode())
    assert CreditGrant.objects.count() == 0


def test_credit_is_taken_back_with_a_reason(admin: Client, shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    voucher = shop.voucher()
    assert shop.calls().post("vouchers/redeem/", {"code": shop.code(voucher)}).status_code == 201
    redemption = shop.organization.billing_account.redemptions.get()

    _act(admin, "redemption", "take_back", redemption.pk, confirmed="yes", reason="Shared by mistake")

    assert books(shop).entries == [("voucher_grant", VOUCHER_MINOR), ("reversal", -VOUCHER_MINOR)]


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("model", ["creditgrant", "redemption", "dispute"])
def test_more_rows_need_no_more_statements(
    model: str, language: str, admin: Client, shop_without_processor: Shop
) -> None:
    statements = []
    for number in range(4):
        sold = sell(shop_without_processor, f"customer-{number}", PLAN_MINOR)
        request_grant(
            organization=sold.shop.organization,
            amount=Money(1_000, "OMR"),
            reason="The outage",
            actor=sold.shop.staff,
            now=timezone.now(),
            key=f"{number:08d}",
        )
        Dispute.objects.create(
            organization_id=sold.organization_id,
            invoice=sold.invoice,
            psp_dispute_id=f"du_{number}",
            currency_id="OMR",
            amount_minor=1_000,
            state="won",
            closed_at=timezone.now(),
        )
        with CaptureQueriesContext(connection) as queries:
            response = admin.get(_url(model), headers={"Accept-Language": language})
        assert len(response.context["cl"].result_list) == number + 1
        statements.append(len(queries))

    assert statements[1:] == [statements[1]] * 3
    assert statements[1] <= 25


def test_facts_cannot_be_edited_or_deleted(admin: Client, sold: Sold) -> None:
    redemption = Account.objects.get(pk=sold.organization_id).redemptions.get()

    page = admin.get(_url("redemption", redemption.pk, "change"))

    assert b'name="_save"' not in page.content
    assert admin.post(_url("redemption", redemption.pk, "delete"), {"post": "yes"}).status_code == 403
