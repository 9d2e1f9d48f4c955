"""Change a live subscription: look, ask for it, take it back. Rules: docs/subscriptions.md, "Changes".

What costs more happens at once and is sold by a checkout of its own; what removes something or costs less happens at
the end of the period that is paid already. Amounts are minor units.
"""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils.translation import gettext as _

from billing.models import Subscription, SubscriptionChange
from billing.selectors.checkouts import find_open_checkout
from billing.services import change_calls
from billing.services.change_items import ChangeSelection
from billing.services.change_pricing import Proposal, price_change
from billing.services.change_rows import check_active, check_changeable, drop_open_change, open_changes, write_change
from billing.services.checkout import cancel_checkout, replay_checkout, start_checkout
from billing.services.checkout_types import CheckoutOutcome, CheckoutRequest, Quote, QuoteChanged, Selection
from billing.services.code_attempts import Guesser
from billing.services.quotes import quote_priced
from billing.services.subscriptions import lock_with_account
from catalyst.core import idempotency, outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from catalyst.core.failpoints import fp
from marketplace.selectors.installed import running_applications
from marketplace.selectors.own_hosts import OwnHosts
from marketplace.services.selection_settings import check_settings
from tenancy.models import Organization, Sovereign, User
from tenancy.services.audit import append_audit, organization_stream

#: Stands for the buyer where nobody buys yet: of an address only the form is judged.
_SOMEBODY = "buyer@example.com"

__all__ = [
    "ChangeCommand",
    "ChangePreview",
    "ChangeSelection",
    "drop_change",
    "find_open_change",
    "preview_change",
    "request_change",
]


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """What a change would do. ``refusal`` is why it cannot be asked for now, or None."""

    proposal: Proposal
    quote: Quote
    refusal: DomainError | None


@dataclass(frozen=True, slots=True)
class ChangeCommand:
    """One command "change this". ``checkout`` is the purchase it may become, with its key and accepted quote."""

    subscription: Subscription
    selection: ChangeSelection
    checkout: CheckoutRequest


def preview_change(
    *,
    subscription: Subscription,
    selection: ChangeSelection,
    organization: Organization,
    sovereign: Sovereign,
    voucher_code: str = "",
    guesser: Guesser,
    now: datetime,
) -> ChangePreview:
    """Return what a change costs, when it happens and what goes; nothing is written but a failed guess of a code.

    :raises LineUnavailable, NothingChanges, Unresolvable: there is no such change.
    :raises VoucherNotFound, VoucherNotAccepting, VoucherBusy, TooManyTries: as for a first purchase.
    """
    proposal = price_change(subscription=subscription, selection=selection, organization=organization, now=now)
    quote = quote_priced(
        priced=proposal.priced,
        organization=organization,
        sovereign=sovereign,
        voucher_code=voucher_code,
        guesser=guesser,
        env_type=subscription.env_type,
        cart_id=_open_cart(subscription),
        now=now,
    )
    return ChangePreview(proposal, quote, _refusal(subscription, proposal, now=now))


def request_change(*, command: ChangeCommand, now: datetime) -> CheckoutOutcome | SubscriptionChange:
    """Change the subscription at once by an order, or write the change down for the end of the period.

    An older wish that is still open is replaced: the last one wins. The same key again answers the same.

    :raises SubscriptionNotActive, CapacityExceeded, ConfigurationRefused, LineUnavailable, NothingChanges,
        QuoteChanged: nothing was written.
    :raises DomainError: every refusal of ``start_checkout``.
    """
    request, subscription = command.checkout, command.subscription
    done = _find_scheduled(_stored_subject(request)) or replay_checkout(request)
    if done is not None:
        # The process that did it may have died before it told the processor.
        change_calls.send_items(organization_id=request.organization.pk)
        return done
    check_active(subscription, now=now)
    proposal = price_change(
        subscription=subscription, selection=command.selection, organization=request.organization, now=now
    )
    if proposal.overflow is not None:
        raise proposal.overflow
    _check_config(proposal, email=request.buyer.email)
    if proposal.kind == SubscriptionChange.Kind.PERIOD_END:
        return _schedule(proposal, request, now=now)
    outcome = start_checkout(request=_purchase(request, proposal), now=now)
    change_calls.send_items(organization_id=request.organization.pk)
    return outcome


def drop_change(*, subscription: Subscription, actor: User, now: datetime) -> SubscriptionChange:
    """Take back the open wish: a scheduled one, or one that waits for payment, whose checkout is closed first.

    :raises NotFound: there is none. :raises AlreadyPaid: the money came first; the change is done.
    :raises CheckoutInProgress, ProcessorUnavailable: try again.
    """
    change = find_open_change(subscription)
    if change is None:
        raise NotFound(_("There is no change to take back."))
    # With its checkout a wish that waits for payment is dropped already.
    _close_open_checkout(subscription, only=change, actor=actor.email, now=now)
    _drop(subscription_id=subscription.pk, change_id=change.pk, actor=actor, now=now)
    change.refresh_from_db()
    change_calls.send_items(organization_id=subscription.organization_id)
    return change


def find_open_change(subscription: Subscription) -> SubscriptionChange | None:
    """Return the wish that waits for payment or for the end of the period."""
    return open_changes(subscription).first()


def _refusal(subscription: Subscription, proposal: Proposal, *, now: datetime) -> DomainError | None:
    try:
        check_active(subscription, now=now)
        if proposal.overflow is None:
            _check_config(proposal, email=_SOMEBODY)
    except DomainError as error:
        return error
    return proposal.overflow


def _check_config(proposal: Proposal, *, email: str) -> None:
    """Refuse what the new Applications do not take, or want to know and are not told.

    :raises ConfigurationRefused: with a pointer to each problem.
    """
    subscription = proposal.subscription
    check_settings(
        proposal.priced.settings,
        proposal.config,
        buyer_email=email,
        pointer="/add/config",
        applications=running_applications(subscription.organization_id, subscription.env_type),
        hosts=OwnHosts(subscription.organization_id),
    )


def _open_cart(subscription: Subscription) -> uuid.UUID | None:
    """Return the purchase that is open now: the next one replaces it, so what it holds can be spent again."""
    checkout = find_open_checkout(subscription.organization.organization, env_type=subscription.env_type)
    return checkout.cart_id if checkout else None


def _purchase(request: CheckoutRequest, proposal: Proposal) -> CheckoutRequest:
    selection = Selection(plan=proposal.priced.plan, blueprints=proposal.install, config=dict(proposal.config))
    return replace(request, selection=selection, change=proposal)


def _schedule(proposal: Proposal, request: CheckoutRequest, *, now: datetime) -> SubscriptionChange:
    accepted = request.accepted_quote
    quote = quote_priced(
        priced=proposal.priced,
        organization=request.organization,
        sovereign=request.sovereign,
        voucher_code="",
        guesser=Guesser(None, None, ""),
        env_type=request.env_type,
        now=now,
    )
    if accepted and accepted != quote.hash:
        raise QuoteChanged(_("The price changed. Please confirm the new amount."), extra={"quote": quote.as_json()})
    _close_open_checkout(proposal.subscription, actor="request", now=now)
    change = _write_scheduled(proposal=proposal, request=request, now=now)
    fp("change.schedule.after_commit")
    change_calls.send_items(organization_id=request.organization.pk)
    return change


@use_case
def _write_scheduled(*, proposal: Proposal, request: CheckoutRequest, now: datetime) -> SubscriptionChange:
    _account, subscription = lock_with_account(proposal.subscription.pk)
    subject = _stored_subject(request)
    taken = _find_scheduled(subject)
    if taken is not None:
        return taken
    check_changeable(subscription, proposal, now=now)
    change = write_change(proposal, state="scheduled", actor=request.buyer, now=now)
    claimed = idempotency.claim(
        scope=request.scope,
        key=request.key,
        fingerprint=request.fingerprint,
        subject=f"change:{change.pk}",
        replaces=subject,
    )
    if not claimed:
        raise idempotency.IdempotencyKeyReused(_("This Idempotency-Key was used for another request. Use a new one."))
    change_calls.intend_items(subscription, items=change.items, key=f"change:{change.pk}:ahead")
    _tell(change, subscription, "subscription.change_scheduled", actor=request.buyer)
    fp("change.schedule.in_tx")
    return change


@use_case
def _drop(*, subscription_id: int, change_id: uuid.UUID, actor: User, now: datetime) -> None:
    """Drop one wish; a newer one that replaced it meanwhile stays."""
    _account, subscription = lock_with_account(subscription_id)
    if not open_changes(subscription).filter(pk=change_id).exists():
        return
    change = drop_open_change(subscription, now=now)
    if change is not None:
        _tell(change, subscription, "subscription.change_dropped", actor=actor)
        fp("change.drop.in_tx")


def _close_open_checkout(
    subscription: Subscription, *, only: SubscriptionChange | None = None, actor: str, now: datetime
) -> None:
    """Close an attempt to pay for a change, whichever it is or only for one; what was paid already wins."""
    owner = subscription.organization.organization
    checkout = find_open_checkout(owner, env_type=subscription.env_type)
    if checkout is not None and only in (None, checkout.change):
        cancel_checkout(checkout=checkout, actor=actor, now=now)


def _find_scheduled(subject: str) -> SubscriptionChange | None:
    """Return what the same command scheduled before, by what is stored for its key."""
    if not subject.startswith("change:"):
        return None
    return SubscriptionChange.objects.get(pk=uuid.UUID(subject.removeprefix("change:")))


def _stored_subject(request: CheckoutRequest) -> str:
    stored = idempotency.find(scope=request.scope, key=request.key, fingerprint=request.fingerprint)
    return stored.subject if stored else ""


def _tell(change: SubscriptionChange, subscription: Subscription, topic: str, *, actor: User) -> None:
    """Record and publish that a wish was written down or taken back; once each in its life."""
    stream = organization_stream(subscription.organization.organization)
    append_audit(
        stream=stream,
        actor=actor,
        action=topic,
        target=f"subscription:{subscription.pk}",
        detail={"change": str(change.pk), "plan": change.plan, "monthly": change.monthly_minor},
    )
    outbox.publish(
        topic=topic,
        key=f"{topic}:{change.pk}",
        stream=stream,
        payload={
            "subscription": subscription.pk,
            "change": str(change.pk),
            "organization": subscription.organization_id,
            "env_type": subscription.env_type,
            "plan": change.plan,
            "monthly": change.monthly_minor,
            "remove": change.remove,
            "effective_at": change.effective_at.isoformat(),
            "user": actor.pk,
        },
    )
