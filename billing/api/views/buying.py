"""Quotes and checkouts: what it would cost, buy it, where it stands, call it off."""

import uuid
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import representations, schema
from billing.api.serializers import CheckoutInput, QuoteInput
from billing.api.views.base import BillingView, guesser_of
from billing.models import Checkout
from billing.selectors.checkouts import get_checkout
from billing.selectors.ledger import Balance
from billing.selectors.orders import get_receipt
from billing.services.checkout import cancel_checkout, outcome_of, start_checkout
from billing.services.checkout_types import CheckoutOutcome, CheckoutRequest, ReturnAddresses, Selection
from billing.services.quotes import quote_selection
from catalyst.core import idempotency, names
from catalyst.core.http.address import client_address
from marketplace.selectors.own_hosts import OwnHosts
from marketplace.services.selection_settings import check_settings
from tenancy.api.authentication import token_of
from tenancy.api.scoping import get_organization, get_organization_and_sovereign
from tenancy.models import Organization, Sovereign, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE
from tenancy.selectors.permissions import has_role, token_allows
from tenancy.selectors.sovereign import get_sovereign

_BUY = "checkout.create"
_CARTS = uuid.UUID("5d0e6f43-6f5b-4f0c-9a53-0c9b8d1d7a10")
_DONE = {Checkout.State.COMPLETED, Checkout.State.AWAITING_PAYMENT}
_CLOSED = {Checkout.State.COMPENSATED, Checkout.State.LAPSED, Checkout.State.REFUNDED}
_KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=True)


class QuoteListView(BillingView):
    required_permissions = {"POST": _BUY}

    @extend_schema(request=QuoteInput, responses=schema.QuoteOutput)
    def post(self, request: Request, slug: str) -> Response:
        """Say what a selection would cost now; nothing is reserved."""
        organization = get_organization(request, slug, _BUY)
        data = QuoteInput(data=request.data)
        data.is_valid(raise_exception=True)
        selection = _selection(data.validated_data)
        quote, priced = quote_selection(
            organization=organization,
            sovereign=get_sovereign(),
            selection=selection,
            voucher_code=data.validated_data["voucher_code"],
            guesser=guesser_of(request, organization),
            now=timezone.now(),
        )
        email, hosts = cast(User, request.user).email, OwnHosts(organization.pk)
        check_settings(priced.settings, selection.config, buyer_email=email, hosts=hosts)
        return Response(quote.as_json())


class CheckoutListView(BillingView):
    required_permissions = {"POST": _BUY}

    @extend_schema(
        request=CheckoutInput,
        parameters=[_KEY],
        responses={201: schema.CheckoutOutput, 202: schema.CheckoutOutput},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Buy: sold at once when credit covers it, else with the address of the card page."""
        organization, sovereign = _buying_organization(request, slug)
        data = CheckoutInput.read(request.data)
        key = idempotency.check_key(request.headers.get("Idempotency-Key"))
        outcome = start_checkout(request=_command(request, organization, sovereign, data, key), now=timezone.now())
        return Response(checkout_answer(organization, outcome), status=checkout_status(outcome))


class CheckoutView(BillingView):
    required_permissions = {"GET": "billing.view"}

    @extend_schema(responses=schema.CheckoutOutput)
    def get(self, request: Request, slug: str, checkout_id: uuid.UUID) -> Response:
        """Show where a checkout stands."""
        organization = get_organization(request, slug, "billing.view")
        answer = checkout_answer(organization, outcome_of(get_checkout(organization, checkout_id)))
        if not _may_buy(request, organization):
            answer.pop("session_url", None)
        return Response(answer)


class CheckoutCancelView(BillingView):
    required_permissions = {"POST": _BUY}

    @extend_schema(request=None, responses=schema.CheckoutOutput)
    def post(self, request: Request, slug: str, checkout_id: uuid.UUID) -> Response:
        """Call a checkout off; what the customer has paid already wins."""
        organization = get_organization(request, slug, _BUY)
        checkout = get_checkout(organization, checkout_id)
        actor = cast(User, request.user).email
        closed = cancel_checkout(checkout=checkout, actor=actor, now=timezone.now())
        return Response(checkout_answer(organization, outcome_of(closed)))


def _buying_organization(request: Request, slug: str) -> tuple[Organization, Sovereign]:
    """Return the Organization, asked with the Environment type of the body, and the Sovereign."""
    try:
        body: Any = request.data
    except APIException:
        # Who may not buy here learns that, and not that the body is malformed.
        get_organization(request, slug, _BUY)
        raise
    env_type = body.get("environment", "prod") if isinstance(body, dict) else None
    known = isinstance(env_type, str) and env_type in names.ENVIRONMENT_TYPES
    return get_organization_and_sovereign(request, slug, _BUY, env_type=env_type if known else None)


def _command(
    request: Request, organization: Organization, sovereign: Sovereign, data: dict[str, Any], key: str
) -> CheckoutRequest:
    buyer = cast(User, request.user)
    public_url: str = settings.PUBLIC_URL
    return CheckoutRequest(
        organization=organization,
        sovereign=sovereign,
        buyer=buyer,
        selection=_selection(data),
        voucher_code=data["voucher_code"],
        env_type=data["environment"],
        accepted_quote=data["quote"],
        # A command of the API has no saved cart: its key stands for one.
        cart_id=uuid.uuid5(_CARTS, f"{organization.pk}/{buyer.pk}/{key}"),
        key=key,
        fingerprint=idempotency.fingerprint(method="POST", path=request.path, body=request.data),
        returns=ReturnAddresses(
            # The processor puts its own id in place of the braces.
            success=f"{public_url}/checkout/return/?session_id={{CHECKOUT_SESSION_ID}}",
            cancel=f"{public_url}/checkout/review/",
        ),
        address=client_address(request),
    )


def _selection(data: dict[str, Any]) -> Selection:
    return Selection(
        plan=data["plan"],
        blueprints=tuple(data["blueprints"]),
        addons=tuple(data["addons"]),
        bundle=data["bundle"],
        config=data["config"],
    )


def checkout_status(outcome: CheckoutOutcome) -> HTTPStatus:
    if outcome.state in _DONE:
        return HTTPStatus.CREATED
    return HTTPStatus.OK if outcome.state in _CLOSED else HTTPStatus.ACCEPTED


def checkout_answer(organization: Organization, outcome: CheckoutOutcome) -> dict[str, Any]:
    # What this very request sold need not be read again; a repeat reads.
    receipt = outcome.receipt or get_receipt(organization, outcome.order_number)
    answer: dict[str, Any] = {
        "id": outcome.checkout_id,
        "state": outcome.state,
        "order": representations.order(receipt.order),
    }
    if outcome.state == Checkout.State.COMPLETED:
        now = receipt.balance
        # A repeat shows the balance that the sale left, as the first answer did.
        left = Balance(outcome.balance_minor, now.held_minor, now.currency, now.is_frozen)
        answer["balance"] = representations.balance(left)
    if outcome.session_url:
        answer["session_url"] = outcome.session_url
    if outcome.voucher_status == "already_redeemed":
        answer["voucher"] = {"status": outcome.voucher_status}
    return answer


def _may_buy(request: Request, organization: Organization) -> bool:
    token = token_of(request)
    is_scoped = token is None or token_allows(token, _BUY)
    return is_scoped and has_role(getattr(organization, ROLES_ATTRIBUTE), _BUY)
