"""A subscription: what it is, change it, end it with its period, keep it."""

import uuid
from typing import Any, cast

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import representations, schema
from billing.api.serializers import ChangeInput
from billing.api.views.base import BillingView, guesser_of
from billing.api.views.buying import checkout_answer, checkout_status
from billing.models import Subscription, SubscriptionChange
from billing.selectors.subscriptions import get_subscription
from billing.services.change_items import ChangeSelection
from billing.services.checkout_types import CheckoutRequest, ReturnAddresses, Selection
from billing.services.subscription_changes import ChangeCommand, drop_change, preview_change, request_change
from billing.services.subscriptions import cancel_subscription, resume_subscription
from catalyst.core import idempotency, names
from catalyst.core.errors import NotFound
from catalyst.core.http.address import client_address
from tenancy.api.scoping import get_organization
from tenancy.models import Organization, User
from tenancy.selectors.sovereign import get_sovereign

_VIEW, _CHANGE = "billing.view", "subscription.change"
_CARTS = uuid.UUID("8f0c2f6e-0f57-4b43-9c7c-53f6dd0d4a55")
_ENVIRONMENT = OpenApiParameter("environment", str, description="Environment type, `prod` when left out.")
_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Required unless it is only a preview."
)


class SubscriptionView(BillingView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=schema.SubscriptionOutput, parameters=[_ENVIRONMENT])
    def get(self, request: Request, slug: str) -> Response:
        """Show the live subscription of one Environment, with the change that waits for it."""
        _organization, subscription = _find(request, slug, _VIEW)
        return Response(representations.subscription(subscription))


class SubscriptionChangeView(BillingView):
    required_permissions = {"POST": _CHANGE, "DELETE": _CHANGE}

    @extend_schema(
        request=ChangeInput,
        parameters=[_ENVIRONMENT, _KEY],
        responses={
            200: schema.SubscriptionChangeOutput,
            201: schema.CheckoutOutput,
            202: schema.CheckoutOutput,
        },
    )
    def post(self, request: Request, slug: str) -> Response:
        """Change Plan or contents: at once by an order (201), or at the end of the period (200, `scheduled`).

        With `preview` nothing is written: 200 with what it would cost, when it happens and what goes.
        """
        organization, subscription = _find(request, slug, _CHANGE)
        data = ChangeInput.read(request.data)
        selection = _selection(data)
        if data["preview"]:
            preview = preview_change(
                subscription=subscription,
                selection=selection,
                organization=organization,
                sovereign=get_sovereign(),
                voucher_code=data["voucher_code"],
                guesser=guesser_of(request, organization),
                now=timezone.now(),
            )
            return Response(representations.change_preview(preview))
        key = idempotency.check_key(request.headers.get("Idempotency-Key"))
        purchase = _purchase(request, organization, subscription, data, key)
        command = ChangeCommand(subscription=subscription, selection=selection, checkout=purchase)
        outcome = request_change(command=command, now=timezone.now())
        if isinstance(outcome, SubscriptionChange):
            return Response({"scheduled": representations.change(outcome)})
        return Response(checkout_answer(organization, outcome), status=checkout_status(outcome))

    @extend_schema(request=None, parameters=[_ENVIRONMENT], responses=schema.SubscriptionOutput)
    def delete(self, request: Request, slug: str) -> Response:
        """Take back the change that waits for payment or for the end of the period."""
        _organization, subscription = _find(request, slug, _CHANGE)
        drop_change(subscription=subscription, actor=cast(User, request.user), now=timezone.now())
        return _shown(subscription)


class SubscriptionCancelView(BillingView):
    required_permissions = {"POST": _CHANGE}

    @extend_schema(request=None, parameters=[_ENVIRONMENT], responses=schema.SubscriptionOutput)
    def post(self, request: Request, slug: str) -> Response:
        """End the subscription with the period that is paid; until then it can be kept by `resume`."""
        _organization, subscription = _find(request, slug, _CHANGE)
        actor = cast(User, request.user)
        cancel_subscription(
            subscription_id=subscription.pk, at_once=False, actor=actor, reason="customer", now=timezone.now()
        )
        return _shown(subscription)


class SubscriptionResumeView(BillingView):
    required_permissions = {"POST": _CHANGE}

    @extend_schema(request=None, parameters=[_ENVIRONMENT], responses=schema.SubscriptionOutput)
    def post(self, request: Request, slug: str) -> Response:
        """Keep a subscription that was to end with its period."""
        _organization, subscription = _find(request, slug, _CHANGE)
        resume_subscription(subscription_id=subscription.pk, actor=cast(User, request.user), now=timezone.now())
        return _shown(subscription)


def _find(request: Request, slug: str, permission: str) -> tuple[Organization, Subscription]:
    env_type = request.query_params.get("environment", "prod")
    known = env_type in names.ENVIRONMENT_TYPES
    organization = get_organization(request, slug, permission, env_type=env_type if known else None)
    if not known:
        raise NotFound(_("Not found."))
    return organization, get_subscription(organization, env_type=env_type)


def _shown(subscription: Subscription) -> Response:
    subscription.refresh_from_db()
    return Response(representations.subscription(subscription))


def _selection(data: dict[str, Any]) -> ChangeSelection:
    return ChangeSelection(
        plan=data["plan"],
        add_blueprints=tuple(dict.fromkeys(data["add"]["blueprints"])),
        add_addons=tuple(dict.fromkeys(data["add"]["addons"])),
        remove_applications=tuple(dict.fromkeys(data["remove"]["applications"])),
        remove_addons=tuple(dict.fromkeys(data["remove"]["addons"])),
        config=data["add"]["config"],
    )


def _purchase(
    request: Request, organization: Organization, subscription: Subscription, data: dict[str, Any], key: str
) -> CheckoutRequest:
    buyer = cast(User, request.user)
    console = f"{settings.PUBLIC_URL}/console/{organization.slug}/billing/"
    return CheckoutRequest(
        organization=organization,
        sovereign=get_sovereign(),
        buyer=buyer,
        selection=Selection(plan=subscription.plan),
        voucher_code=data["voucher_code"],
        env_type=subscription.env_type,
        accepted_quote=data["quote"],
        # A change is no saved cart: its key stands for one.
        cart_id=uuid.uuid5(_CARTS, f"{organization.pk}/{buyer.pk}/{key}"),
        key=key,
        fingerprint=idempotency.fingerprint(method="POST", path=request.get_full_path(), body=request.data),
        returns=ReturnAddresses(
            # The processor puts its own id in place of the braces.
            success=f"{settings.PUBLIC_URL}/checkout/return/?session_id={{CHECKOUT_SESSION_ID}}",
            cancel=console,
        ),
        address=client_address(request),
    )
