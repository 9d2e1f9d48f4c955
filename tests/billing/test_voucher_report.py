"""What a campaign has cost and may still cost; spent is told by the oldest credit first."""

import csv
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.models import Redemption, Voucher
from billing.selectors.voucher_report import Campaign, campaign_report
from billing.services.credit_reversals import reverse_redemption
from billing.services.vouchers import revoke_voucher, set_voucher_active
from billing.services.wallet import redeem_to_balance
from tenancy.models import User
from tests.billing.shop import PLAN_MINOR, Shop
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/billing/voucherbatch/report/"


def report(shop: Shop) -> dict[str, Campaign]:
    found = campaign_report(sovereign=shop.sovereign, now=timezone.now())
    return {row.campaign: row for row in found.campaigns}


def redeem(shop: Shop, voucher: Voucher) -> None:
    redeem_to_balance(
        code=shop.code(voucher),
        organization=shop.organization,
        sovereign=shop.sovereign,
        actor=shop.buyer,
        address="192.0.2.1",
        now=timezone.now(),
    )


def test_counts_codes_by_what_can_be_done_with_them(shop_without_processor: Shop) -> None:
    shop, day = shop_without_processor, timedelta(days=1)
    terms: dict[str, Any] = {"campaign": "Launch", "max_redemptions": 2}
    live, paused, revoked = (shop.voucher(1_000, **terms) for _ in range(3))
    shop.voucher(1_000, starts_at=timezone.now() - 2 * day, ends_at=timezone.now() - day, **terms)
    shop.voucher(1_000, campaign="Launch")
    set_voucher_active(voucher_id=paused.pk, active=False, actor=shop.staff)
    revoke_voucher(voucher_id=revoked.pk, actor=shop.staff, now=timezone.now())
    redeem(shop, live)

    row = report(shop)["Launch"]

    assert (row.issued, row.live, row.paused, row.revoked, row.ended) == (5, 2, 1, 1, 1)
    assert (row.redemptions, row.organizations, row.granted_minor) == (1, 1, 1_000)
    # One use of the live code, two of the paused one; the one without a cap has no number.
    assert (row.exposure_minor, row.uncapped) == (3_000, 1)


def test_an_empty_business_has_no_campaign(shop_without_processor: Shop) -> None:
    assert report(shop_without_processor) == {}


def test_credit_is_spent_oldest_first(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    first, second = shop.voucher(30_000, campaign="First"), shop.voucher(40_000, campaign="Second")
    redeem(shop, first)
    redeem(shop, second)
    assert [report(shop)[name].spent_minor for name in ("First", "Second")] == [0, 0]

    shop.buy()  # for 50.000

    found = report(shop)
    assert PLAN_MINOR == 50_000
    assert (found["First"].spent_minor, found["First"].unspent_minor) == (30_000, 0)
    assert (found["Second"].spent_minor, found["Second"].unspent_minor) == (20_000, 20_000)


def test_credit_that_was_taken_back_costs_nothing(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    voucher = shop.voucher(30_000, campaign="First", max_redemptions=1)
    redeem(shop, voucher)
    redemption = Redemption.objects.get(voucher=voucher)
    reverse_redemption(redemption_id=redemption.pk, reason="By mistake", actor=shop.staff, now=timezone.now())
    redeem(shop, shop.voucher(60_000, campaign="Second"))
    shop.buy()

    found = report(shop)

    first = found["First"]
    assert (first.redemptions, first.granted_minor, first.taken_back_minor, first.spent_minor) == (0, 0, 30_000, 0)
    assert first.exposure_minor == 30_000
    assert found["Second"].spent_minor == PLAN_MINOR


def test_organizations_are_counted_once_and_kept_apart(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    other = shop.with_customer("other")
    vouchers = [shop.voucher(60_000, campaign="Launch", max_redemptions=2) for _ in range(2)]
    redeem(shop, vouchers[0])
    redeem(shop, vouchers[1])
    redeem(other, vouchers[0])
    other.buy()

    row = report(shop)["Launch"]

    assert (row.redemptions, row.organizations) == (3, 2)
    assert (row.granted_minor, row.spent_minor) == (180_000, PLAN_MINOR)


def test_the_page_and_its_table_say_the_same(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    redeem(shop, shop.voucher(30_000, campaign="=Launch", max_redemptions=3))
    admin = Client()
    admin.force_login(shop.staff)

    page = admin.get(PAGE).content.decode()
    table = admin.get("/admin/billing/voucherbatch/report.csv").content.decode()

    assert "=Launch" in page
    assert "OMR\u00a060.000" in page
    (line,) = csv.DictReader(StringIO(table.removeprefix("\ufeff")))
    assert (line["sovereign"], line["campaign"], line["currency"]) == ("cloud.example.om", "'=Launch", "OMR")
    assert (line["granted_minor"], line["exposure_minor"], line["unspent_minor"]) == ("30000", "60000", "30000")


@pytest.mark.parametrize(("groups", "status"), [([], 403), (["catalog"], 403), (["finance"], 200)])
def test_only_finance_sees_it(shop_without_processor: Shop, groups: list[str], status: int) -> None:
    client = Client()
    client.force_login(UserFactory.create(staff_role=User.StaffRole.SUPPORT, staff_groups=groups))

    assert client.get(PAGE).status_code == status
    assert (PAGE in client.get("/admin/billing/voucherbatch/").content.decode()) is (status == 200)
    assert client.get("/admin/billing/voucherbatch/report.csv").status_code == status


def test_it_reads_arabic_too(shop_without_processor: Shop) -> None:
    staff, admin = shop_without_processor.staff, Client()
    User.objects.filter(pk=staff.pk).update(language="ar")
    admin.force_login(staff)
    shop_without_processor.voucher(1_000, campaign="رمضان", max_redemptions=1)

    page = admin.get(PAGE).content.decode()

    assert 'dir="rtl"' in page
    assert "رمضان" in page
