"""What the money endpoints have in common."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.representations import voucher_preview
from billing.services.code_attempts import Guesser
from billing.services.vouchers import VoucherNotAccepting
from catalyst.core.http.address import client_address
from catalyst.core.http.views import ApiView
from tenancy.models import Organization


class BillingView(ApiView):
    """Base: a closed Voucher is answered in one way, whatever closed it."""

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, VoucherNotAccepting):
            shown = voucher_preview(exc.voucher, accepting=False)
            # ``code`` is the problem's own member, in every refusal of the API.
            shown["voucher_code"] = shown.pop("code")
            exc.extra = shown
            exc.message = _("This voucher is not accepting redemptions now.")
        return super().handle_exception(exc)


def guesser_of(request: Request, organization: Organization | None = None) -> Guesser:
    """Return who is trying a code, for the limits on failed guesses."""
    user: Any = request.user
    return Guesser(
        user_id=user.pk if user.is_authenticated else None,
        organization_id=organization.pk if organization else None,
        address=client_address(request),
    )
