"""Arabic is complete: what a page can say in English it can say in Arabic, and the compiled file is up to date."""

import gettext
import io
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings

FOLDER = Path(settings.ROOT) / "locale" / "ar" / "LC_MESSAGES"
#: Everything under these is read by people who are not staff.
SPOKEN = [
    "templates",
    "catalyst/core/status.py",
    "tenancy/forms",
    "tenancy/views",
    "marketplace/views",
    "billing/views",
]
_IN_TEMPLATE = re.compile(r'{%\s*translate\s+"([^"]+)"')
_IN_PYTHON = re.compile(r'\b_\("([^"]+)"\)')


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    with (FOLDER / "django.po").open("rb") as source:
        return read_po(source, locale="ar")


def spoken_texts() -> set[str]:
    found: set[str] = set()
    for place in SPOKEN:
        path = Path(settings.ROOT) / place
        for file in [path] if path.is_file() else [*path.rglob("*.html"), *path.rglob("*.txt"), *path.rglob("*.py")]:
            expression = _IN_PYTHON if file.suffix == ".py" else _IN_TEMPLATE
            found.update(expression.findall(file.read_text()))
    return found


def test_no_spoken_text_is_missing(catalog: Catalog) -> None:
    missing = {text for text in spoken_texts() if text not in catalog or not catalog[text].string}

    assert missing == set()


def test_nothing_is_fuzzy_and_placeholders_agree(catalog: Catalog) -> None:
    for message in catalog:
        assert not message.fuzzy or not message.id
        if message.id and isinstance(message.id, str) and message.string:
            assert set(re.findall(r"%\(\w+\)[sd]", message.id)) == set(re.findall(r"%\(\w+\)[sd]", str(message.string)))


def test_the_compiled_file_is_made_of_this_source(catalog: Catalog) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalog)

    assert (FOLDER / "django.mo").read_bytes() == compiled.getvalue()


@pytest.mark.parametrize(("count", "words"), [(0, "لا تطبيقات"), (1, "تطبيق واحد"), (2, "تطبيقان"), (27, "تطبيقًا")])
def test_counts_have_six_forms(count: int, words: str) -> None:
    with (FOLDER / "django.mo").open("rb") as compiled:
        translations = gettext.GNUTranslations(compiled)

    assert translations.ngettext("%(counter)s app", "%(counter)s apps", count).endswith(words)
