"""How a total is split into credit and card money. Pure arithmetic on minor units.

Source: docs/checkout.md, "The split".
"""

from dataclasses import dataclass

from catalyst.core.money import round_up


@dataclass(frozen=True, slots=True)
class Split:
    """``credit + charge`` is the total; ``charge`` is 0 or an amount that the processor can bill."""

    credit_minor: int
    charge_minor: int


def split_total(*, total_minor: int, available_minor: int, step: int, minimum_minor: int) -> Split:
    """Split ``total_minor`` when ``available_minor`` of credit can be used.

    Credit gives way, revenue does not: the charge is rounded up to the processor's step and minimum.
    """
    usable = max(min(total_minor, available_minor), 0)
    charge = round_up(total_minor - usable, step)
    if 0 < charge < minimum_minor:
        charge = minimum_minor
    return Split(credit_minor=total_minor - charge, charge_minor=charge)
