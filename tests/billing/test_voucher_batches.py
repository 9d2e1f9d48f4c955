"""Many codes at once: all or none, once per form, looked over first; paused, resumed and revoked together."""

import csv
import re
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.admin.voucher_sheets import PER_SHEET
from billing.models import Voucher, VoucherBatch
from billing.services import voucher_batches
from billing.services.voucher_batches import BatchTerms, VoucherBatchTaken, issue_batch, revoke_batch, set_batch_active
from billing.services.voucher_codes import GENERATED, code_key, normalize_code
from billing.services.vouchers import VoucherInvalid, VoucherNotAccepting, VoucherTerms, new_voucher, reveal_code
from billing.services.wallet import redeem_to_balance
from catalyst.core.csv_text import safe_cell
from catalyst.core.errors import NotFound
from catalyst.core.models import Outbox
from catalyst.core.money import Money
from tenancy.models import AuditEntry, User
from tests.billing.shop import Shop, books
from tests.crash.races import race
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

TERMS = VoucherTerms(credit=Money(5_000, "OMR"), campaign="Ramadan", max_redemptions=2)
BATCH = BatchTerms(TERMS, count=3, partner="Muscat Radio")
URL = "/admin/billing/voucherbatch/"
FORM = {
    "count": "3",
    "credit": "5",
    "campaign": "Ramadan",
    "partner": "Muscat Radio",
    "description": "",
    "max_redemptions": "2",
    "per_organization_limit": "1",
    "starts_at": "",
    "ends_at": "",
}


@pytest.fixture(autouse=True)
def _at_its_address(settings: Any) -> None:
    """Customers come by this address, whatever the Sovereign's domain is."""
    settings.PUBLIC_URL = "https://buy.example.om"


@pytest.fixture
def admin(shop_without_processor: Shop) -> Client:
    client = Client()
    client.force_login(shop_without_processor.staff)
    return client


def issue(shop: Shop, batch: BatchTerms = BATCH, token: uuid.UUID | None = None) -> VoucherBatch:
    return issue_batch(
        batch=batch, sovereign=shop.sovereign, token=token or uuid.uuid4(), actor=shop.staff, now=timezone.now()
    )


def audited(verb: str) -> list[dict[str, Any]]:
    rows = AuditEntry.objects.filter(action=f"voucher_batch.{verb}").order_by("pk")
    return list(rows.values_list("detail", flat=True))


def test_issues_codes_of_equal_terms(shop_without_processor: Shop) -> None:
    shop = shop_without_processor

    row = issue(shop)

    assert (row.campaign, row.partner, row.count, row.issued_by) == ("Ramadan", "Muscat Radio", 3, shop.staff)
    vouchers = list(row.vouchers.all())
    codes = {reveal_code(voucher) for voucher in vouchers}
    assert len(codes) == 3
    for voucher, code in [(each, reveal_code(each)) for each in vouchers]:
        normal = normalize_code(code)
        assert normal is not None
        assert GENERATED.fullmatch(normal)
        assert bytes(voucher.code_key) == code_key(normal)
        assert (voucher.grant_minor, voucher.max_redemptions, voucher.campaign) == (5_000, 2, "Ramadan")
    assert audited("issued") == [
        {
            "campaign": "Ramadan",
            "partner": "Muscat Radio",
            "count": 3,
            "credit": {"amount": 5_000, "currency": "OMR"},
            "cap": 2,
        }
    ]
    assert Outbox.objects.filter(topic="voucher_batch.issued").count() == 1


def test_a_code_of_a_batch_gives_its_credit(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    voucher = issue(shop).vouchers.earliest("pk")

    entry = redeem(shop, reveal_code(voucher))

    assert entry == 5_000


def redeem(shop: Shop, code: str) -> int:
    return redeem_to_balance(
        code=code,
        organization=shop.organization,
        sovereign=shop.sovereign,
        actor=shop.buyer,
        address="192.0.2.1",
        now=timezone.now(),
    ).amount_minor


def test_the_most_that_a_batch_may_cost_is_a_number() -> None:
    assert BATCH.exposure() == Money(3 * 2 * 5_000, "OMR")


@pytest.mark.parametrize(
    ("batch", "pointer"),
    [
        (replace(BATCH, count=0), "/count"),
        (replace(BATCH, count=5_001), "/count"),
        (replace(BATCH, terms=replace(TERMS, code="RAMADAN-2026")), "/code"),
        (replace(BATCH, terms=replace(TERMS, campaign=" ")), "/campaign"),
        (replace(BATCH, terms=replace(TERMS, max_redemptions=None)), "/max_redemptions"),
        (replace(BATCH, terms=replace(TERMS, credit=Money(0, "OMR"))), "/credit/amount"),
        (replace(BATCH, terms=replace(TERMS, credit=Money(5, "USD"))), "/credit/currency"),
    ],
)
def test_refuses_terms_that_no_batch_may_have(shop_without_processor: Shop, batch: BatchTerms, pointer: str) -> None:
    with pytest.raises(VoucherInvalid) as refusal:
        issue(shop_without_processor, batch)

    assert refusal.value.pointer == pointer
    assert (VoucherBatch.objects.count(), Voucher.objects.count(), Outbox.objects.count()) == (0, 0, 0)


def test_a_form_sent_twice_makes_one_batch(shop_without_processor: Shop) -> None:
    token = uuid.uuid4()

    first, again = (issue(shop_without_processor, token=token) for _ in range(2))

    assert first.pk == again.pk
    assert (VoucherBatch.objects.count(), Voucher.objects.count()) == (1, 3)
    with pytest.raises(VoucherBatchTaken):
        issue(shop_without_processor, replace(BATCH, count=4), token=token)
    assert Voucher.objects.count() == 3


def test_two_clicks_at_once_make_one_batch(shop_without_processor: Shop) -> None:
    token = uuid.uuid4()

    outcomes = race([lambda: issue(shop_without_processor, token=token).pk] * 3)

    assert outcomes == {str(VoucherBatch.objects.get().pk): 3}
    assert (VoucherBatch.objects.count(), Voucher.objects.count()) == (1, 3)


def test_control_without_the_token_two_clicks_make_two(shop_without_processor: Shop) -> None:
    outcomes = race([lambda: issue(shop_without_processor).pk] * 3)

    assert len(outcomes) == 3
    assert (VoucherBatch.objects.count(), Voucher.objects.count()) == (3, 9)


def test_a_failure_in_the_middle_issues_nothing(shop_without_processor: Shop, monkeypatch: Any) -> None:
    made = []

    def break_at_the_third(*args: Any, **kwargs: Any) -> Voucher:
        made.append(1)
        if len(made) == 3:
            raise RuntimeError
        return new_voucher(*args, **kwargs)

    monkeypatch.setattr(voucher_batches, "new_voucher", break_at_the_third)

    with pytest.raises(RuntimeError):
        issue(shop_without_processor)

    assert (VoucherBatch.objects.count(), Voucher.objects.count(), audited("issued")) == (0, 0, [])


def test_the_largest_batch_is_issued(shop_without_processor: Shop) -> None:
    row = issue(shop_without_processor, replace(BATCH, count=5_000))

    assert row.vouchers.count() == 5_000


def test_pauses_resumes_and_revokes_together(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    row, other = issue(shop), shop.voucher()
    code = reveal_code(row.vouchers.earliest("pk"))

    assert set_batch_active(batch_id=row.pk, active=False, actor=shop.staff) == 3
    before = books(shop)
    with pytest.raises(VoucherNotAccepting):
        redeem(shop, code)
    assert books(shop) == before
    assert set_batch_active(batch_id=row.pk, active=True, actor=shop.staff) == 3
    assert redeem(shop, code) == 5_000
    assert revoke_batch(batch_id=row.pk, actor=shop.staff, now=timezone.now()) == 3
    assert revoke_batch(batch_id=row.pk, actor=shop.staff, now=timezone.now()) == 0

    other.refresh_from_db()
    assert (other.active, other.revoked_at) == (True, None)
    assert (audited("paused"), audited("resumed")) == ([{"vouchers": 3}], [{"vouchers": 3}])
    assert audited("revoked") == [{"vouchers": 3}, {"vouchers": 0}]
    assert Outbox.objects.filter(topic="voucher_batch.revoked").count() == 1
    with pytest.raises(NotFound):
        revoke_batch(batch_id=row.pk + 1, actor=shop.staff, now=timezone.now())


def test_staff_look_before_they_issue(admin: Client) -> None:
    page = admin.post(f"{URL}add/", FORM)

    text = page.content.decode()
    assert page.status_code == 200
    assert "If every code is used up, this gives OMR\u00a030.000 of credit." in text
    assert VoucherBatch.objects.count() == 0
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text))
    hidden.pop("csrfmiddlewaretoken", None)
    assert {name: hidden[name] for name in FORM} == FORM

    for _ in range(2):
        done = admin.post(f"{URL}add/", hidden)
        assert done.status_code == 302
    row = VoucherBatch.objects.get()
    assert done["Location"] == f"{URL}{row.pk}/change/"
    assert row.vouchers.count() == 3


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"count": "5001"}, "count"),
        ({"credit": "0"}, "credit"),
        ({"campaign": ""}, "campaign"),
        ({"max_redemptions": ""}, "max_redemptions"),
        ({"starts_at": "2026-02-01T00:00", "ends_at": "2026-01-01T00:00"}, "ends_at"),
    ],
)
def test_a_refusal_stands_beside_its_field(changes: dict[str, str], field: str, admin: Client) -> None:
    response = admin.post(f"{URL}add/", {**FORM, **changes, "token": str(uuid.uuid4())})

    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert VoucherBatch.objects.count() == 0


def test_the_list_acts_on_whole_batches(admin: Client, shop_without_processor: Shop) -> None:
    row = issue(shop_without_processor)

    asked = admin.post(URL, {"action": "revoke", "_selected_action": str(row.pk)})
    assert "for good" in asked.content.decode()
    assert not row.vouchers.exclude(revoked_at=None).exists()
    admin.post(URL, {"action": "revoke", "_selected_action": str(row.pk), "confirmed": "yes"})

    assert not row.vouchers.filter(revoked_at=None).exists()
    assert "Every code of this batch is revoked." in admin.get(f"{URL}{row.pk}/change/").content.decode()


def test_the_table_of_codes_opens_in_a_spreadsheet(admin: Client, shop_without_processor: Shop) -> None:
    terms = replace(TERMS, campaign="=cmd|' /C calc'!A1", ends_at=datetime.fromisoformat("2030-01-01T00:00:00+00:00"))
    row = issue(shop_without_processor, BatchTerms(terms, count=2, partner="رمضان"))
    revoked = row.vouchers.latest("pk")
    Voucher.objects.filter(pk=revoked.pk).update(revoked_at=timezone.now())

    answer = admin.post(f"{URL}{row.pk}/codes.csv")

    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    text = answer.content.decode()
    assert text.startswith("\ufeff")
    (line,) = csv.DictReader(StringIO(text.removeprefix("\ufeff")))
    voucher = row.vouchers.earliest("pk")
    code = reveal_code(voucher)
    assert line == {
        "code": code,
        "credit": "5.000",
        "currency": "OMR",
        "uses": "2",
        "starts_at": voucher.starts_at.isoformat(),
        "ends_at": "2030-01-01T00:00:00+00:00",
        "link": f"https://buy.example.om/redeem/?code={code}",
        "campaign": "'=cmd|' /C calc'!A1",
        "partner": "رمضان",
    }
    assert audited("downloaded") == [{"form": "csv", "vouchers": 1}]
    assert Client().get(line["link"].removeprefix("https://buy.example.om")).status_code == 200


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_a_cell_never_becomes_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    assert safe_cell(-5) == -5
    assert safe_cell("a-b") == "a-b"


def test_sheets_of_qr_codes_can_be_printed(admin: Client, shop_without_processor: Shop) -> None:
    row = issue(shop_without_processor, replace(BATCH, count=PER_SHEET + 1))
    codes = [reveal_code(voucher) for voucher in row.vouchers.order_by("pk")]

    first, second, none = (
        admin.post(f"{URL}{row.pk}/sheet/", {"sheet": number}).content.decode() for number in ("1", "2", "3")
    )

    assert (first.count("<svg"), second.count("<svg"), none.count("<svg")) == (PER_SHEET, 1, 0)
    assert (codes[0] in first, codes[-1] in first, codes[-1] in second) == (True, False, True)
    assert '<bdi dir="ltr">buy.example.om/redeem/</bdi>' in second
    assert "OMR\u00a05.000" in second
    assert [detail["form"] for detail in audited("downloaded")] == ["sheet 1", "sheet 2", "sheet 3"]
    assert f"<option>{2}</option>" in admin.get(f"{URL}{row.pk}/change/").content.decode()


def test_codes_are_for_voucher_managers_only(shop_without_processor: Shop) -> None:
    row = issue(shop_without_processor)
    support, finance = Client(), Client()
    support.force_login(UserFactory.create(staff_role=User.StaffRole.SUPPORT))
    finance.force_login(UserFactory.create(staff_role=User.StaffRole.SUPPORT, staff_groups=["finance"]))

    for path in (f"{URL}{row.pk}/codes.csv", f"{URL}{row.pk}/sheet/", f"{URL}add/"):
        assert support.post(path, FORM).status_code == 403
    assert audited("downloaded") == []
    assert finance.post(f"{URL}{row.pk}/codes.csv").status_code == 200
    assert finance.get(f"{URL}{row.pk}/codes.csv").status_code == 405
    assert VoucherBatch.objects.count() == 1
    anonymous = Client().post(f"{URL}{row.pk}/codes.csv")
    assert anonymous.status_code == 302
    assert finance.post(f"{URL}{row.pk + 1}/codes.csv").status_code == 404


def test_a_batch_is_never_changed(admin: Client, shop_without_processor: Shop) -> None:
    row = issue(shop_without_processor)

    assert admin.post(f"{URL}{row.pk}/change/", {"campaign": "Other"}).status_code == 403
    assert admin.post(f"{URL}{row.pk}/delete/", {"post": "yes"}).status_code == 403

    row.refresh_from_db()
    assert row.campaign == "Ramadan"
    assert timezone.now() - row.created_at < timedelta(minutes=1)
