"""What a checkout reads before it takes any lock, in one statement.

Nearly every purchase is the ordinary case: a new key, a shopper who has not guessed codes, a voucher that exists. Then
this one statement replaces four. Whatever is not ordinary is left to the functions that know how to refuse it.
"""

from dataclasses import dataclass

from billing.models import Voucher
from billing.services.checkout_types import CheckoutRequest
from billing.services.code_attempts import Guesser
from billing.services.voucher_codes import code_key, normalize_code
from catalyst.core.database import fetch_one
from catalyst.core.models import Currency
from catalyst.core.rows import Rows

_CURRENCY, _VOUCHER = Rows(Currency), Rows(Voucher)
_READ = f"""
SELECT EXISTS (SELECT FROM core_idempotencykey WHERE scope = %(scope)s AND key = %(key)s),
       EXISTS (SELECT FROM billing_codeattempt WHERE scope = ANY(%(guessers)s)),
       {_CURRENCY.columns("c")}, {_VOUCHER.columns("v")}
  FROM core_currency AS c
  LEFT JOIN billing_voucher AS v ON v.code_key = %(code)s AND v.revoked_at IS NULL
 WHERE c.code = %(currency)s
"""  # noqa: S608  (column names of our own models)


@dataclass(frozen=True, slots=True)
class Preflight:
    """``voucher`` is the live one of the request's code, only where nobody must be asked whether they may look."""

    is_new_key: bool
    currency: Currency
    voucher: Voucher | None


def guesser_of(request: CheckoutRequest) -> Guesser:
    """Return who is trying the request's code."""
    return Guesser(user_id=request.buyer.pk, organization_id=request.organization.pk, address=request.address)


def read_preflight(request: CheckoutRequest) -> Preflight:
    """Read without a lock; what is decided on it is decided again under the account's lock, or never changes.

    :raises Currency.DoesNotExist: the Sovereign's currency is not in the table.
    """
    normal = normalize_code(request.voucher_code) if request.voucher_code else None
    row = fetch_one(
        _READ,
        {
            "scope": request.scope,
            "key": request.key,
            "guessers": [scope for scope, _limit, _window in guesser_of(request).limits()],
            "code": code_key(normal) if normal else None,
            "currency": request.sovereign.currency_id,
        },
        prepared=True,
    )
    if row is None:
        raise Currency.DoesNotExist
    has_key, has_guessed, *columns = row
    voucher = columns[len(_CURRENCY) :]
    return Preflight(
        is_new_key=not has_key,
        currency=_CURRENCY.read(columns[: len(_CURRENCY)]),
        voucher=_VOUCHER.read(voucher) if voucher[0] is not None and not has_guessed else None,
    )
