"""Search folds case, accents and the spelling variants of Arabic."""

import pytest

from marketplace.selectors.text_search import is_match


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("", "anything"),
        ("word PRESS", "WordPress"),
        ("cafe", "Café"),
        ("احصاءات", "إحصاءات الموقع"),
        ("مكتبه", "مكتبة خاصة"),
        ("فواتير", "فَوَاتِير"),
        ("مستوي", "مستوى"),
        ("nextcloud files", "Files in Nextcloud"),
    ],
)
def test_finds(search: str, text: str) -> None:
    assert is_match(search, text)


@pytest.mark.parametrize(("search", "text"), [("wordpress shop", "WordPress blog"), ("فاتورة", "مدونات")])
def test_does_not_find(search: str, text: str) -> None:
    assert not is_match(search, text)
