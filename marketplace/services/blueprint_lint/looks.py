"""What names and titles look like: two that a person may take for one another look the same.

Source: Unicode TR39, "Confusable Detection"; blueprints.md §7 of the design, rule N06.
"""

import re
import unicodedata

#: Letters of other alphabets, and digits, that look like a Latin letter.
_LOOK_ALIKES = str.maketrans(
    {
        **dict(zip("аеорсухіјѕԁӏкѵ", "aeopcyxijsdlkv", strict=True)),
        **dict(zip("αοικντρυχ", "aoikvtpux", strict=True)),
        **dict(zip("01358", "olesb", strict=True)),
    }
)


def skeleton(text: str) -> str:
    """Return what a text looks like: equal for two texts that a person may take for one another."""
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_LOOK_ALIKES)
    plain = re.sub(r"[\s_.-]+", "", plain)
    return plain.replace("rn", "m").replace("vv", "w").replace("i", "l")
