"""Arabic is complete: what Catalyst can say in English it can say in Arabic, and the compiled file is up to date."""

import ast
import gettext
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation.template import templatize

from billing.admin.vouchers import VoucherAdmin
from billing.models import Voucher
from tenancy.models import Membership

ROOT = Path(settings.ROOT)
FOLDER = ROOT / "locale" / "ar" / "LC_MESSAGES"
#: All of the project's own code and pages: services, API, admin, models, templates.
PLACES = ["billing", "catalyst", "marketplace", "tenancy", "templates"]
#: How code asks for a text, and which arguments hold it (``c`` marks the context).
KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[sdr%]|{\w*}")
_ARABIC = re.compile("[\u0621-\u064a]")
#: A text, or its singular and plural, and the context it stands in.
Spoken = tuple[str | tuple[str, ...], str | None]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    with (FOLDER / "django.po").open("rb") as source:
        return read_po(source, locale="ar")


def sources() -> Iterator[tuple[Path, str]]:
    """Yield each file as Python text: a template becomes its calls of gettext, in brackets so that indents are free."""
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*")):
            if path.suffix == ".py":
                yield path, path.read_text()
            elif path.suffix in {".html", ".txt"}:
                yield path, f"({templatize(path.read_text(), origin=str(path))})"


@pytest.fixture(scope="module")
def spoken() -> dict[Spoken, str]:
    """Return every translatable text with the first place that says it."""
    found: dict[Spoken, str] = {}
    for path, text in sources():
        for line, message, _, context in extract("python", io.BytesIO(text.encode()), keywords=KEYWORDS):
            whole = message if isinstance(message, str) else tuple(message[:2])
            found.setdefault((whole, context), f"{path.relative_to(ROOT)}:{line}")
    return found


def forms(text: object) -> tuple[str, ...]:
    return tuple(map(str, text)) if isinstance(text, tuple | list) else (str(text or ""),)


def test_no_text_is_missing_or_fuzzy(catalog: Catalog, spoken: dict[Spoken, str]) -> None:
    missing = {}
    for (text, context), place in spoken.items():
        entry = catalog.get(forms(text)[0], context)
        has_plural = isinstance(text, tuple)
        if entry is None or entry.fuzzy or not all(forms(entry.string)) or entry.pluralizable != has_plural:
            missing[text] = place

    assert missing == {}


@pytest.mark.parametrize(
    "text",
    [
        "This cart is full. Remove an app first.",  # a service refuses
        "This token is not valid.",  # the API answers
        "Issue a voucher",  # the admin offers
        "billing account",  # a model is named
        "Waiting for approval",  # a state is shown
        "The text is not YAML.",  # the core explains
        "Nothing is redeemed until you do one of these.",  # a page says
        ("%(counter)s app", "%(counter)s apps"),  # a page counts
    ],
)
def test_every_kind_of_text_is_found(spoken: dict[Spoken, str], text: str | tuple[str, ...]) -> None:
    assert (text, None) in spoken


def test_every_text_can_be_found() -> None:
    """A text that is computed, as in ``_(f"…")``, never reaches the catalog."""
    computed = []
    for path, text in sources():
        if path.suffix != ".py" or "gettext" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[ast.Constant(), *_]) if name in KEYWORDS:
                    pass
                case ast.Call(func=ast.Name(id=name)) if name in KEYWORDS:
                    computed.append(f"{path.relative_to(ROOT)}:{node.lineno}")

    assert computed == []


def test_nothing_in_the_file_is_fuzzy_empty_or_left_in_english(catalog: Catalog) -> None:
    doubtful = [
        entry.id
        for entry in catalog
        if entry.id and (entry.fuzzy or not all(_ARABIC.search(form) for form in forms(entry.string)))
    ]

    assert doubtful == []


def test_placeholders_agree(catalog: Catalog) -> None:
    wrong = []
    for entry in catalog:
        if not entry.id:
            continue
        expected = sorted(_PLACEHOLDER.findall(forms(entry.id)[-1]))
        for number, form in enumerate(forms(entry.string)):
            found = sorted(_PLACEHOLDER.findall(form))
            says_it_in_words = entry.pluralizable and number < 3  # none, one and two need no figure
            if found != expected and not (says_it_in_words and set(found) < set(expected)):
                wrong.append((entry.id, form))

    assert wrong == []


def test_plurals_have_six_forms(catalog: Catalog) -> None:
    assert catalog.num_plurals == 6
    assert {len(forms(entry.string)) for entry in catalog if entry.pluralizable} == {6}


def test_the_compiled_file_is_made_of_this_source(catalog: Catalog) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalog)

    assert (FOLDER / "django.mo").read_bytes() == compiled.getvalue()


@pytest.mark.parametrize(("count", "words"), [(0, "لا تطبيقات"), (1, "تطبيق واحد"), (2, "تطبيقان"), (27, "تطبيقًا")])
def test_counts_have_six_forms(count: int, words: str) -> None:
    with (FOLDER / "django.mo").open("rb") as compiled:
        translations = gettext.GNUTranslations(compiled)

    assert translations.ngettext("%(counter)s app", "%(counter)s apps", count).endswith(words)


@pytest.mark.parametrize(
    ("label", "english", "arabic"),
    [
        (Voucher._meta.verbose_name, "Voucher", "القسيمة"),
        (Membership.Role.BILLING.label, "Billing administrator", "مسؤول الفوترة"),
        (VoucherAdmin.pause.short_description, "Pause", "إيقاف مؤقت"),  # type: ignore[attr-defined]
    ],
)
def test_labels_follow_the_language_of_the_reader(label: str | Promise, english: str, arabic: str) -> None:
    """Labels are made once, at import: they are lazy, or Arabic staff read English."""
    with translation.override("en"):
        in_english = str(label)
    with translation.override("ar"):
        in_arabic = str(label)

    assert (in_english, in_arabic) == (english, arabic)
