"""The PDF of a document: made once, the same bytes for ever, and no name in it can do anything."""

import hashlib
from datetime import UTC, datetime

import pytest
import typst
from django.db import DatabaseError

from billing.models import BillingDetails, BillingSettings, Document, Invoice
from billing.selectors.document_facts import credit_note_facts, invoice_facts
from billing.services import documents
from billing.services.documents import DocumentDamaged, document_of, typeset
from billing.services.invoices import issue_credit_note, issue_order_invoice
from catalyst.core.database import use_case
from tenancy.models import Sovereign
from tests.billing.shop import Shop
from tests.billing.subscribed import deliver, subscribe
from tests.conftest import owner_connection
from tests.crash.races import race

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)

HOSTILE = [
    '#eval("1") #read("/etc/passwd") #include "x.typ" *b* _i_ $x$ <a> @a [x] \\ // /* ` = - + #{} ',
    "W" * 120,
    "\u202eevil\u202c \u2066x\u2069 \u200f\u200e \ufeff",
    "🚀👩‍👩‍👧‍👦 會社 ชื่อ",
    "شركة أكمي #panic() LLC",
    '"; }, "name": {"text": "x"}',
    "\x00\x1b[31m\r\n\t",
    "",
]


@pytest.fixture
def invoice(shop_without_processor: Shop) -> Invoice:
    order = subscribe(shop_without_processor, "company").subscription.order
    return issue_order_invoice(order_number=order.number, now=NOW)


def test_is_a_pdf_with_its_hash(invoice: Invoice) -> None:
    document = document_of(invoice)

    assert document.content[:5] == b"%PDF-"
    assert document.sha256 == hashlib.sha256(document.content).digest()


def test_every_call_returns_the_same_bytes_whatever_changed_since(
    invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bytes(document_of(invoice).content)
    BillingSettings.objects.create(pk=1, seller_name="Another")
    BillingDetails.objects.create(organization_id=invoice.organization_id, name="Renamed")
    Sovereign.objects.update(name="Renamed", vat_percent=15)
    monkeypatch.setattr(documents, "typeset", lambda *_args, **_keywords: b"another")

    again = document_of(Invoice.objects.get(pk=invoice.pk))

    assert bytes(again.content) == first
    assert Document.objects.count() == 1


def test_equal_facts_give_equal_bytes(invoice: Invoice) -> None:
    facts = invoice_facts(invoice)

    assert typeset(facts, issued_unix=1) == typeset(facts, issued_unix=1)


def test_eight_who_ask_first_get_one_document(invoice: Invoice) -> None:
    outcomes = race([lambda: document_of(Invoice.objects.get(pk=invoice.pk)).pk] * 8)

    assert set(outcomes.values()) == {8}
    assert Document.objects.count() == 1


def test_a_worker_makes_it_after_the_invoice_was_issued(invoice: Invoice) -> None:
    deliver("billing.make_invoice_document")

    assert Document.objects.get().invoice == invoice


def test_a_credit_note_has_one_too(invoice: Invoice) -> None:
    note = use_case(issue_credit_note)(
        invoice=invoice,
        credit_minor=10_000,
        card_minor=0,
        reason="#panic()",
        issued_by="test",
        state="settled",
        now=NOW,
    )

    deliver("billing.make_credit_note_document")

    facts = credit_note_facts(note)
    assert Document.objects.get().credit_note == note
    assert (facts["number"], facts["corrects"]) == ("CN-2026-000001", "INV-2026-000001")
    assert facts["sums"] == {"net": "9.524", "tax": "0.476", "total": "10.000"}
    assert [tender["amount"] for tender in facts["tenders"]] == ["10.000"]


def test_says_the_facts_of_the_invoice(invoice: Invoice) -> None:
    facts = invoice_facts(invoice)

    assert facts["title"] == {"en": "Invoice", "ar": "فاتورة"}
    assert (facts["number"], facts["issued"], facts["rate"]) == ("INV-2026-000001", "2026-11-24", "5%")
    assert facts["sums"] == {"net": "47.619", "tax": "2.381", "total": "50.000"}
    assert [(row["title"]["text"], row["total"]) for row in facts["lines"]] == [
        ("Plan M", "50.000"),
        ("WordPress", "0.000"),
    ]
    assert facts["uuid"] == str(invoice.uuid)


def test_only_a_seller_with_a_vat_number_issues_a_tax_invoice(invoice: Invoice) -> None:
    invoice.seller["vatin"] = "OM1100000001"

    assert invoice_facts(invoice)["title"]["en"] == "Tax invoice"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_it(invoice: Invoice, name: str) -> None:
    invoice.seller |= {"name": name, "name_ar": name, "address": f"{name}\n{name}"}
    invoice.buyer |= {"name": name, "name_ar": name, "address": name}
    invoice.lines[0] |= {"title": name, "title_ar": name}

    content = typeset(invoice_facts(invoice), issued_unix=1)

    assert content[:5] == b"%PDF-"


def test_a_name_is_set_as_it_is_written(invoice: Invoice) -> None:
    """Were it run, ``#eval("1+1")`` would look like 2, and ``#panic()`` would look like nothing at all."""

    def named(name: str) -> bytes:
        invoice.buyer["name"] = name
        return typeset(invoice_facts(invoice), issued_unix=1)

    assert named('#eval("1+1")') != named("2")
    assert named("*b*") != named("b")
    assert named("#panic()")[:5] == b"%PDF-"


def test_control_the_same_name_pasted_into_markup_is_run() -> None:
    with pytest.raises(typst.TypstError, match="panicked"):
        typst.compile(b"#panic()")

    assert typst.compile(b'#eval("1+1")', timestamp=1) == typst.compile(b"#2", timestamp=1)


def test_marks_that_steer_the_direction_are_taken_out(invoice: Invoice) -> None:
    invoice.buyer["name"] = "A \u202eC\u202c\u200f\ufeff\x00"

    assert invoice_facts(invoice)["buyer"]["name"] == {"text": "A C", "rtl": False}


def test_what_was_tampered_with_is_not_handed_out(invoice: Invoice) -> None:
    document = document_of(invoice)
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE billing_document SET content = 'x' WHERE id = %s", [document.pk])

    with pytest.raises(DocumentDamaged):
        document_of(invoice)


def test_the_database_refuses_to_change_or_delete_it(invoice: Invoice) -> None:
    document = document_of(invoice)

    with pytest.raises(DatabaseError):
        Document.objects.filter(pk=document.pk).update(content=b"x")
    with pytest.raises(DatabaseError):
        Document.objects.filter(pk=document.pk).delete()
    assert bytes(document_of(invoice).content) == bytes(document.content)
