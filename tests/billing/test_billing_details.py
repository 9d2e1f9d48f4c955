"""Whom the next invoices name: checked, audited, and without effect on what was issued."""

from datetime import UTC, datetime

import pytest

from billing.models import Account, BillingDetails
from billing.services.billing_details import (
    AddressTooLong,
    Details,
    VatinInvalid,
    clean_vatin,
    update_billing_details,
)
from billing.services.invoices import issue_order_invoice
from tenancy.models import AuditEntry
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import buy_again, subscribe
from tests.factories import OrganizationFactory

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def change(shop: Shop, details: Details) -> BillingDetails:
    return update_billing_details(organization=shop.organization, details=details, actor=shop.buyer, now=NOW)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("", ""),
        ("om1100012345", "OM1100012345"),
        ("OM 1100-012.345", "OM1100012345"),
        ("AE100123456700003", "AE100123456700003"),
        ("SA300123456700003", "SA300123456700003"),
        ("BH200012345600002", "BH200012345600002"),
        ("DE123456789", "DE123456789"),
    ],
)
def test_a_vat_number_is_stored_in_one_spelling(written: str, stored: str) -> None:
    assert clean_vatin(written) == stored


@pytest.mark.parametrize(
    "written",
    [
        "1100012345",
        "OM",
        "OM110001234",
        "OM11000123456",
        "OM١١٠٠٠١٢٣٤٥",
        "AE200123456700003",
        "SA300123456700001",
        "BH20001234560000",
        "DE1",
        "X<script>",
        "DE" + "1" * 19,
    ],
)
def test_other_shapes_are_refused(written: str, shop_without_processor: Shop) -> None:
    with pytest.raises(VatinInvalid, match=r"like [A-Z]{2}[0-9]+"):
        change(shop_without_processor, Details(vatin=written))

    assert BillingDetails.objects.count() == 0
    assert AuditEntry.objects.filter(action="billing_details.changed").count() == 0


def test_a_long_address_is_refused(shop_without_processor: Shop) -> None:
    with pytest.raises(AddressTooLong):
        change(shop_without_processor, Details(address="x" * 301))

    assert BillingDetails.objects.count() == 0


def test_an_organization_that_never_bought_can_say_it_first(shop_without_processor: Shop) -> None:
    founded = OrganizationFactory.create(slug="initech")

    row = update_billing_details(
        organization=founded, details=Details(name="Initech"), actor=shop_without_processor.buyer, now=NOW
    )

    assert (row.name, Account.objects.get(pk=founded.pk).posted_minor) == ("Initech", 0)


def test_a_change_leaves_a_row_in_the_audit_trail(shop_without_processor: Shop) -> None:
    change(shop_without_processor, Details(name="Acme LLC", vatin="OM1100012345"))
    change(shop_without_processor, Details(name="Acme SAOC", vatin="OM1100012345", email="books@acme.example"))

    trail = AuditEntry.objects.filter(action="billing_details.changed").order_by("seq")
    assert [entry.detail for entry in trail] == [
        {
            "before": {"name": "", "vatin": ""},
            "after": {"name": "Acme LLC", "vatin": "OM1100012345"},
            "address_changed": False,
            "email_changed": False,
        },
        {
            "before": {"name": "Acme LLC", "vatin": "OM1100012345"},
            "after": {"name": "Acme SAOC", "vatin": "OM1100012345"},
            "address_changed": False,
            "email_changed": True,
        },
    ]
    assert BillingDetails.objects.get().updated_at == NOW


def test_the_next_invoice_says_so_and_the_last_does_not(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "company", credit_minor=PLAN_MINOR)
    first = issue_order_invoice(order_number=customer.subscription.order.number, now=NOW)

    change(customer.shop, Details(name="Company LLC"))
    again = buy_again(customer.shop, env_type="dev")
    second = issue_order_invoice(order_number=again.subscription.order.number, now=NOW)

    first.refresh_from_db()
    assert (first.buyer["name"], second.buyer["name"]) == ("Company", "Company LLC")
