"""Kubernetes quantities as whole numbers.

Source: Kubernetes API reference, "Quantity".
"""

import re
from typing import Any, Final

_FORM = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,3}))?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS: Final = {
    **dict(zip(("", "k", "M", "G", "T"), (1, 10**3, 10**6, 10**9, 10**12), strict=True)),
    **dict(zip(("Ki", "Mi", "Gi", "Ti"), (2**10, 2**20, 2**30, 2**40), strict=True)),
}


def thousandths(quantity: Any) -> int | None:
    """Return a quantity times 1000, rounded up; None for what is none."""
    match = _FORM.fullmatch(str(quantity))
    if match is None:
        return None
    scaled = int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))
    return -(-scaled // 1000) if match[3] == "m" else scaled * _FACTORS[match[3] or ""]


def mebibytes(quantity: Any) -> int | None:
    """Return a quantity of bytes in MiB, rounded up."""
    scaled = thousandths(quantity)
    return None if scaled is None else -(-scaled // (1000 * 2**20))


def gibibytes(quantity: Any) -> int | None:
    """Return a quantity of bytes in GiB, rounded up."""
    scaled = thousandths(quantity)
    return None if scaled is None else -(-scaled // (1000 * 2**30))
