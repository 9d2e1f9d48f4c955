"""A small shop for the money tests: one Plan, one Application, one customer, the real stand-in of the processor."""

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from billing.models import Account, Checkout, LedgerEntry, Order, Redemption, Voucher
from billing.services.checkout import start_checkout
from billing.services.checkout_types import CheckoutOutcome, CheckoutRequest, ReturnAddresses, Selection
from billing.services.ledger import open_account
from billing.services.settings import update_billing_settings
from billing.services.vouchers import VoucherTerms, issue_voucher
from catalyst.core.money import Money
from tenancy.models import Membership, Organization, Sovereign, User
from tenancy.services.tokens import issue_token
from tests import factories
from tests.billing.api.calls import Calls
from tests.stripe_standin import StripeStandIn

PLAN_MINOR = 50_000
VOUCHER_MINOR = 10_000


@dataclass
class Shop:
    """Everything a checkout needs, with one customer ``organization`` and its administrator ``buyer``."""

    sovereign: Sovereign
    organization: Organization
    buyer: User
    staff: User
    standin: StripeStandIn | None = None
    codes: dict[int, str] = field(default_factory=dict)

    def configure_processor(self, key: str | None = None) -> None:
        """Store the stand-in's keys, as an administrator would."""
        assert self.standin is not None
        update_billing_settings(
            changes={
                "stripe_secret_key": key or "sk_test_standin",
                "stripe_webhook_secret": self.standin.webhook_secret,
            },
            actor=self.staff,
        )

    def voucher(self, amount_minor: int = VOUCHER_MINOR, **terms: Any) -> Voucher:
        """Issue a Voucher and remember its code."""
        credit = Money(amount_minor, "OMR")
        # A minute ago: whether it has begun is asked of the database's clock, which may be some milliseconds behind.
        issued = timezone.now() - timedelta(minutes=1)
        row, code = issue_voucher(
            terms=VoucherTerms(credit=credit, **terms), sovereign=self.sovereign, actor=self.staff, now=issued
        )
        self.codes[row.pk] = code
        return row

    def code(self, voucher: Voucher) -> str:
        return self.codes[voucher.pk]

    def customer(self, slug: str) -> tuple[Organization, User]:
        """Make another Organization with an account and an administrator."""
        organization = factories.OrganizationFactory.create(slug=slug, name=slug.title())
        user = factories.MembershipFactory.create(organization=organization, role=Membership.Role.ADMIN).user
        open_account(organization=organization, sovereign=self.sovereign)
        return organization, user

    def with_customer(self, slug: str) -> "Shop":
        """Return the same shop with another customer in it."""
        organization, buyer = self.customer(slug)
        return replace(self, organization=organization, buyer=buyer)

    def calls(self) -> Calls:
        """Return the customer's way in: the API, with a bearer token of their own."""
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=self.authorization())
        return Calls(client, self.organization.slug)

    def authorization(self) -> str:
        _, token = issue_token(user=self.buyer, actor=self.buyer, now=timezone.now())
        return f"Bearer {token}"

    def request(self, **changes: Any) -> CheckoutRequest:
        """Return a command to buy the Plan with one Application; keywords replace its parts."""
        key = changes.pop("key", None) or uuid.uuid4().hex
        parts: dict[str, Any] = {
            "organization": self.organization,
            "sovereign": self.sovereign,
            "buyer": self.buyer,
            "selection": Selection(plan="m", blueprints=("bp-wordpress",)),
            "voucher_code": "",
            "env_type": "prod",
            "accepted_quote": "",
            "cart_id": uuid.uuid5(uuid.NAMESPACE_URL, key),
            "key": key,
            "returns": ReturnAddresses("http://localhost/return/", "http://localhost/review/"),
            "address": "192.0.2.1",
            **changes,
        }
        body = f"{parts['selection']}|{parts['voucher_code']}|{parts['env_type']}|{parts['accepted_quote']}"
        parts.setdefault("fingerprint", hashlib.sha256(body.encode()).digest())
        return CheckoutRequest(**parts)

    def buy(self, **changes: Any) -> CheckoutOutcome:
        return start_checkout(request=self.request(**changes), now=timezone.now())


def open_shop(sovereign: Sovereign, organization: Organization, buyer: User) -> Shop:
    """Put a Plan and an Application on the shelf; no processor keys are stored yet."""
    factories.PlanFactory.create(slug="m", title_en="M", title_ar="M")
    factories.PriceFactory.create(kind="plan", reference="m", amount_minor=PLAN_MINOR)
    factories.PriceFactory.create(kind="blueprint", reference="bp-wordpress", amount_minor=0)
    blueprint = factories.BlueprintFactory.create(slug="wordpress", title="WordPress")
    factories.BlueprintVersionFactory.create(
        blueprint=blueprint,
        version="1.0.0",
        major=1,
        minor=0,
        patch=0,
        contract={"spec": {"footprint": {"memoryMiB": 256, "cpuMilli": 250, "diskGiB": 5}, "depends": []}},
        files={},
    )
    staff = factories.UserFactory.create(email="staff@example.com", staff_role=User.StaffRole.ADMIN)
    open_account(organization=organization, sovereign=sovereign)
    return Shop(sovereign=sovereign, organization=organization, buyer=buyer, staff=staff)


@dataclass(frozen=True)
class Books:
    """What the database says of one Organization and one Voucher, to compare before and after."""

    posted: int
    held: int
    entries: list[tuple[str, int]]
    redemptions: list[str]
    orders: list[str]
    checkouts: list[str]
    reserved_count: int
    redeemed_count: int


def books(shop: Shop, voucher: Voucher | None = None) -> Books:
    """Read the books of the shop's customer."""
    organization_id = shop.organization.pk
    account = Account.objects.get(pk=organization_id)
    if voucher is not None:
        voucher.refresh_from_db()
    mine = {"organization_id": organization_id}
    return Books(
        posted=account.posted_minor,
        held=account.held_minor,
        entries=list(LedgerEntry.objects.filter(**mine).order_by("seq").values_list("kind", "amount_minor"))[1:],
        redemptions=list(Redemption.objects.filter(**mine).order_by("id").values_list("state", flat=True)),
        orders=list(Order.objects.filter(**mine).order_by("id").values_list("state", flat=True)),
        checkouts=list(Checkout.objects.filter(**mine).order_by("created_at").values_list("state", flat=True)),
        reserved_count=voucher.reserved_count if voucher else 0,
        redeemed_count=voucher.redeemed_count if voucher else 0,
    )
