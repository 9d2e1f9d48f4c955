"""``manage.py seed_demo``: a Sovereign to try things out in. Harmless to repeat, refused where customers are real."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.management.welcome import write_welcome
from billing.models import BillingSettings, Voucher
from billing.selectors.vouchers import find_voucher
from billing.services.settings import secret_state, update_billing_settings
from billing.services.voucher_codes import code_key, normalize_code
from billing.services.vouchers import VoucherTerms, issue_voucher
from billing.services.wallet import redeem_to_balance
from catalyst.core.money import Money
from catalyst.local.secrets import local_secret
from tenancy.models import ApiToken, Membership, Organization, Sovereign, User
from tenancy.services.memberships import add_member
from tenancy.services.organizations import create_organization
from tenancy.services.sovereign import setup_sovereign
from tenancy.services.staff import set_staff_role
from tenancy.services.tokens import issue_token
from tenancy.services.users import ensure_user

_ACTOR = "seed_demo"
_ADMIN, _OWNER, _VIEWER = "admin@demo.example", "owner@acme.example", "viewer@acme.example"
_NEIGHBOR = "owner@souq.example"
PEOPLE = {
    _ADMIN: "sovereign administrator: vouchers, orders, settings",
    _OWNER: "administrator of the Organization acme: buys",
    _VIEWER: "viewer of acme: looks on",
}
#: Codes without O, I and L, which are shown as 0 and 1. The part is less than the smallest Plan costs.
FULL, PART, SPENT = "START-100", "START-2", "SPENT-2026"
VOUCHERS = {
    FULL: "100 OMR: covers an order completely",
    PART: "2 OMR: covers a part, the rest is paid by card",
    SPENT: "5 OMR: used up by another Organization, and says so",
}
_TOKEN_NAME = "demo"  # noqa: S105  (a name, not a token)


class Command(BaseCommand):
    help = "Make the demo Sovereign with people, vouchers and sandbox keys, and write down how to sign in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--webhook-secret", default="", help="Of the sandbox card page, when it is not ours.")

    def handle(self, *args: Any, **options: Any) -> None:
        if str(settings.SETTINGS_MODULE).endswith(".prod"):
            raise CommandError("The demo has accounts that everybody knows; production settings refuse it.")
        sovereign = _ensure_sovereign()
        if not sovereign.is_sandbox:
            self.stdout.write("This Sovereign is no sandbox: nothing was added.")
            return
        admin = _ensure_admin()
        acme = _ensure_organization("acme", "Acme Trading", "أكمي للتجارة", owner=_OWNER)
        _ensure_viewer(acme)
        _ensure_processor_keys(admin, options["webhook_secret"])
        _ensure_seller(admin)
        _ensure_vouchers(sovereign, admin)
        path = write_welcome(people=PEOPLE, vouchers=VOUCHERS, token=_issue_token_once(acme))
        self.stdout.write(f"The demo is ready: {path}")


def _ensure_sovereign() -> Sovereign:
    sovereign = Sovereign.objects.filter(pk=1).first()
    if sovereign is not None:
        return sovereign
    return setup_sovereign(
        name="Demo Sovereign",
        name_ar="سيادة تجريبية",
        domain="localhost",
        currency="OMR",
        languages=("en", "ar"),
        support_email=_ADMIN,
        is_sandbox=True,
        actor=_ACTOR,
    )


def _ensure_admin() -> User:
    admin = ensure_user(email=_ADMIN, display_name="Demo administrator", actor=_ACTOR)
    if not admin.staff_role:
        admin = set_staff_role(user_id=admin.pk, role=User.StaffRole.ADMIN, actor=_ACTOR)
    return admin


def _ensure_organization(slug: str, name: str, name_ar: str, *, owner: str) -> Organization:
    organization = Organization.objects.live().filter(slug=slug).first()
    if organization is not None:
        return organization
    creator = ensure_user(email=owner, display_name=f"{name} administrator", actor=_ACTOR)
    return create_organization(slug=slug, name=name, name_ar=name_ar, creator=creator, now=timezone.now())


def _ensure_viewer(organization: Organization) -> None:
    """Make the viewer once: whoever removes the membership later is not overruled by the next start."""
    if not User.objects.filter(email=_VIEWER).exists():
        viewer = ensure_user(email=_VIEWER, display_name="Acme viewer", actor=_ACTOR)
        add_member(organization=organization, user=viewer, role=Membership.Role.VIEWER, actor=_ACTOR)


def _ensure_processor_keys(admin: User, webhook_secret: str) -> None:
    """Store keys for the sandbox card page, unless somebody has stored keys already."""
    if not settings.STRIPE_API_BASE or secret_state("stripe_secret_key").configured:
        return
    secret = webhook_secret or f"whsec_{local_secret(settings.CATALYST_HOME, 'sandbox-webhook')}"
    changes: dict[str, str | None] = {
        "stripe_secret_key": "sk_test_sandbox",
        "stripe_publishable_key": "pk_test_sandbox",
        "stripe_webhook_secret": secret,
    }
    update_billing_settings(changes=changes, actor=admin)


def _ensure_seller(admin: User) -> None:
    """Say whom the demo's invoices name, unless somebody has said so already."""
    if BillingSettings.objects.exclude(seller_name="").exists():
        return
    changes: dict[str, str | None] = {
        "seller_name": "Demo Sovereign SAOC",
        "seller_name_ar": "سيادة تجريبية ش.م.ع.م",
        "seller_address": "Building 1, Way 2345\nMuscat 111, Oman",
        "seller_vatin": "OM1100000000",
    }
    update_billing_settings(changes=changes, actor=admin)


def _ensure_vouchers(sovereign: Sovereign, admin: User) -> None:
    currency = str(sovereign.currency_id)
    full = VoucherTerms(
        credit=Money(100_000, currency), code=FULL, description="Demo: the whole order", per_organization_limit=100
    )
    part = VoucherTerms(
        credit=Money(2_000, currency), code=PART, description="Demo: a part of it", per_organization_limit=100
    )
    spent = VoucherTerms(credit=Money(5_000, currency), code=SPENT, description="Demo: used up", max_redemptions=1)
    for terms in (full, part, spent):
        if _find(terms.code) is None:
            issue_voucher(terms=terms, sovereign=sovereign, actor=admin, now=timezone.now())
    _spend(sovereign)


def _spend(sovereign: Sovereign) -> None:
    """Let a second Organization take the only place, as a customer would."""
    voucher = _find(SPENT)
    if voucher is None or voucher.redeemed_count or voucher.revoked_at or not voucher.active:
        return
    neighbor = _ensure_organization("souq", "Souq Traders", "تجار السوق", owner=_NEIGHBOR)
    owner = User.objects.get(email=_NEIGHBOR)
    redeem_to_balance(
        code=SPENT, organization=neighbor, sovereign=sovereign, actor=owner, address="", now=timezone.now()
    )


def _find(code: str) -> Voucher | None:
    normal = normalize_code(code)
    return find_voucher(code_key(normal)) if normal else None


def _issue_token_once(organization: Organization) -> str:
    """Return the text of a new token the first time, nothing afterwards: nobody sees a token twice."""
    owner = User.objects.filter(email=_OWNER).first()
    if owner is None or ApiToken.objects.filter(user=owner, name=_TOKEN_NAME).exists():
        return ""
    _token, plaintext = issue_token(
        user=owner, organization=organization, name=_TOKEN_NAME, actor=_ACTOR, now=timezone.now()
    )
    return plaintext
