"""Which amounts a card can be charged: Stripe's step and minimum per currency."""

from catalyst.core.money import EXPONENTS
from catalyst.local.sandbox_stripe.wire import StripeRefusal

#: Smallest charge in minor units. Source: docs.stripe.com/currencies, about half a US dollar.
_MINIMUM = {"omr": 200, "bhd": 200, "kwd": 200, "jod": 400, "tnd": 2000, "usd": 50, "eur": 50, "aed": 200, "sar": 200}
_LARGEST = 99_999_999


def check_currency(currency: str, param: str) -> str:
    """Return the code in Stripe's lower case.

    :raises StripeRefusal: the sandbox does not know the currency.
    """
    if currency.upper() not in EXPONENTS:
        raise StripeRefusal(f"Invalid currency: {currency}.", code="parameter_invalid_string", param=param)
    return currency.lower()


def smallest_charge(currency: str) -> int:
    """Return the smallest amount that a card is charged, in minor units."""
    return _MINIMUM.get(currency, 1)


def check_amount(amount: int, currency: str, param: str, *, least: int = 0) -> int:
    """Return an amount in minor units that the currency allows.

    Three-decimal currencies are charged in steps of ten, so the last digit is 0.

    :raises StripeRefusal: too small, too large, or between two steps.
    """
    if amount < least:
        raise StripeRefusal(
            f"This value must be greater than or equal to {least}.", code="parameter_invalid_integer", param=param
        )
    if amount > _LARGEST:
        raise StripeRefusal(f"{param} must be no more than {_LARGEST}.", code="amount_too_large", param=param)
    if EXPONENTS[currency.upper()] == 3 and amount % 10:
        raise StripeRefusal(
            f"Amounts in {currency} need a last digit of 0.", code="parameter_invalid_integer", param=param
        )
    return amount


def check_total(total: int, currency: str) -> int:
    """Return a total that is nothing at all or large enough for a card.

    :raises StripeRefusal: ``amount_too_small``.
    """
    least = smallest_charge(currency)
    if 0 < total < least:
        message = f"The Checkout Session's total amount due must add up to at least {least} {currency}."
        raise StripeRefusal(message, code="amount_too_small")
    return total
