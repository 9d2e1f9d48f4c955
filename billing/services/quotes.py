"""What a purchase would cost: the same prices and the same split as the checkout itself, with nothing reserved."""

from datetime import datetime
from uuid import UUID, uuid4

from billing.models import Checkout, CreditHold, Redemption
from billing.services.checkout_reserve import make_quote
from billing.services.checkout_types import Quote, Selection
from billing.services.code_attempts import Guesser
from billing.services.ledger import LockedAccount, read_account
from billing.services.own_vouchers import OwnAttemptHolds, OwnUse, VoucherUse, decide_use
from billing.services.vouchers import look_up_voucher
from catalyst.core.models import Currency
from marketplace.selectors.selection import PricedSelection, price_selection
from tenancy.models import Organization, Sovereign


def quote_selection(
    *,
    organization: Organization | None,
    sovereign: Sovereign,
    selection: Selection,
    voucher_code: str,
    guesser: Guesser,
    now: datetime,
    cart_id: UUID | None = None,
    env_type: str = "prod",
) -> tuple[Quote, PricedSelection]:
    """Return the quote and the priced selection behind it; nothing is written but a failed guess of a code.

    Without an Organization the quote is for a shopper who has not signed in: no balance, and a code counts as fresh.

    :raises LineUnavailable, CapacityExceeded, VoucherNotFound, VoucherNotAccepting, VoucherBusy, TooManyTries
    """
    currency = Currency.objects.get(pk=sovereign.currency_id)
    priced = price_selection(
        plan=selection.plan,
        blueprints=selection.blueprints,
        addons=selection.addons,
        bundle=selection.bundle,
        currency=currency.code,
        at=now,
        config=selection.config,
        organization=organization,
    )
    quote = quote_priced(
        priced=priced,
        organization=organization,
        sovereign=sovereign,
        voucher_code=voucher_code,
        guesser=guesser,
        now=now,
        cart_id=cart_id,
        env_type=env_type,
    )
    return quote, priced


def quote_priced(
    *,
    priced: PricedSelection,
    organization: Organization | None,
    sovereign: Sovereign,
    voucher_code: str,
    guesser: Guesser,
    now: datetime,
    cart_id: UUID | None = None,
    env_type: str = "prod",
) -> Quote:
    """Return the quote of what has its price already, with the split that balance and code allow now.

    :raises VoucherNotFound, VoucherNotAccepting, VoucherBusy, TooManyTries
    """
    currency = Currency.objects.get(pk=sovereign.currency_id)
    account = _account(organization, currency, cart_id, env_type)
    use = None
    if voucher_code:
        use = _use(voucher_code, guesser, organization, cart_id or uuid4(), currency, now)
    return make_quote(priced=priced, account=account, use=use, currency=currency)


def _account(
    organization: Organization | None, currency: Currency, cart_id: UUID | None, env_type: str
) -> LockedAccount:
    account = read_account(organization.pk) if organization else None
    if account is None:
        return LockedAccount(0, currency.code, 0, 0, 0, None, None)
    own = _own_hold(account.organization_id, cart_id, env_type)
    return LockedAccount(
        account.organization_id,
        account.currency,
        account.posted_minor,
        account.held_minor - own,
        account.last_seq,
        account.frozen_at,
        account.psp_customer_id,
    )


def _own_hold(organization_id: int, cart_id: UUID | None, env_type: str) -> int:
    """Return what this cart's own open checkout holds: the shopper may spend it on the next attempt."""
    if cart_id is None:
        return 0
    holds = CreditHold.objects.filter(
        organization_id=organization_id,
        state=CreditHold.State.ACTIVE,
        cart_id=cart_id,
        checkout__env_type=env_type,
        checkout__state__in=[
            Checkout.State.RESERVED,
            Checkout.State.SESSION_REQUESTED,
            Checkout.State.AWAITING_PAYMENT,
            Checkout.State.EXPIRING,
        ],
    )
    return sum(holds.values_list("amount_minor", flat=True))


def _use(
    code: str, guesser: Guesser, organization: Organization | None, cart_id: UUID, currency: Currency, now: datetime
) -> VoucherUse:
    voucher = look_up_voucher(code=code, guesser=guesser, now=now)
    uses = []
    if organization is not None:
        rows = Redemption.objects.filter(
            voucher=voucher, organization_id=organization.pk, state__in=["reserved", "redeemed"]
        )
        uses = [OwnUse(row.slot, row.cart_id, row.state == "reserved", row.checkout_id) for row in rows]
    use = decide_use(voucher=voucher, uses=uses, cart_id=cart_id, currency=currency.code, now=now)
    # The checkout undoes the own unfinished attempt first, so the code counts as usable here.
    return VoucherUse(voucher, slot=1) if isinstance(use, OwnAttemptHolds) else use
