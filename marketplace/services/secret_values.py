"""Random values of secrets that nobody types, as long as no guess can find them and as plain as every program takes.

Source: NIST SP 800-63B, 5.1.1 and 5.1.4 (112 bits of chance and more are out of reach); 32 letters and digits hold 190.
"""

import secrets
import string
from typing import Final

_LENGTH: Final = 32
_HEX_BYTES: Final = 32
_LETTERS: Final = string.ascii_letters + string.digits

#: Made of letters and digits unless its Blueprint asks for more: addresses, scripts and settings files take those as
#: they are. ``hex``: 64 hexadecimal digits. ``symbol``: with one sign besides, for programs that insist on one.
HEX, SYMBOL = "hex", "symbol"
KINDS: Final = frozenset({"", HEX, SYMBOL})


def make_value(made_as: str) -> str:
    """Return a new random value: 32 characters with a capital letter, a small one and a digit, or 64 in ``hex``."""
    if made_as == HEX:
        return secrets.token_hex(_HEX_BYTES)
    sign = "!" if made_as == SYMBOL else ""
    text = ""
    while not _is_mixed(text):
        text = "".join(secrets.choice(_LETTERS) for _place in range(_LENGTH - len(sign)))
    return text + sign


def _is_mixed(text: str) -> bool:
    return all(any(map(test, text)) for test in (str.isupper, str.islower, str.isdigit))
