"""Simple search over short texts in English and Arabic: every word must occur, spelling variants are folded."""

import unicodedata

_ARABIC_FOLDS = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ـ": ""})


def fold(text: str) -> str:
    """Return the text without case, accents, Arabic marks and spelling variants."""
    # The letters come first: decomposing would turn a hamza on its carrier into a mark.
    plain = unicodedata.normalize("NFKC", text).translate(_ARABIC_FOLDS)
    decomposed = unicodedata.normalize("NFKD", plain)
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()


def is_match(search: str, text: str) -> bool:
    """Tell whether each word of the search occurs in the text; an empty search matches everything."""
    folded = fold(text)
    return all(word in folded for word in fold(search[:200]).split())
