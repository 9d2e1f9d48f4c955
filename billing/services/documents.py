"""The PDF of an invoice or a credit note: made once, kept with its hash, and from then on the same bytes for ever.

A worker makes it after the document was issued; whoever asks earlier makes it in the request (about 50 ms). It says
only what the frozen row holds, never what is set today. Rules: docs/invoices.md.
"""

import hashlib
import json
from typing import Any

import typst
from django.conf import settings
from django.db import transaction

from billing.models import CreditNote, Document, Invoice
from billing.selectors.document_facts import credit_note_facts, invoice_facts

_FOLDER = settings.ROOT / "templates" / "billing" / "document"


class DocumentDamaged(Exception):
    """The stored bytes do not have the stored hash: a fault of storage, never shown as if it were the document."""


def document_of(subject: Invoice | CreditNote) -> Document:
    """Return the document of an issued invoice or credit note; make it when nobody has.

    Two who come at the same moment may both typeset it, and one is kept: both return that one.

    :raises DocumentDamaged: what is stored is not what was made.
    """
    mine = {"invoice": subject} if isinstance(subject, Invoice) else {"credit_note": subject}
    made = Document.objects.filter(**mine).first()
    if made is not None:
        return _checked(made)
    facts = invoice_facts(subject) if isinstance(subject, Invoice) else credit_note_facts(subject)
    content = typeset(facts, issued_unix=int(subject.issued_at.timestamp()) if subject.issued_at else 0)
    _keep(Document(organization_id=subject.organization_id, content=content, sha256=_hash(content), **mine))
    return _checked(Document.objects.get(**mine))


def document_of_invoice(invoice_id: int) -> Document:
    """Return the document of an invoice by its key."""
    return document_of(Invoice.objects.select_related("order").get(pk=invoice_id))


def document_of_credit_note(credit_note_id: int) -> Document:
    """Return the document of a credit note by its key."""
    return document_of(CreditNote.objects.select_related("invoice").get(pk=credit_note_id))


def typeset(facts: dict[str, Any], *, issued_unix: int) -> bytes:
    """Return the PDF; equal facts give equal bytes.

    Facts go in as one JSON text and are set as text: a name is never read as markup. Only the fonts in the folder are
    used, so no machine's own fonts change the page.
    """
    content = typst.compile(
        str(_FOLDER / "document.typ"),
        root=str(_FOLDER),
        font_paths=[str(_FOLDER / "fonts")],
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(facts)},
        format="pdf",
        timestamp=issued_unix,
    )
    assert isinstance(content, bytes)
    return content


def _checked(document: Document) -> Document:
    if _hash(bytes(document.content)) != bytes(document.sha256):
        raise DocumentDamaged(f"The bytes of document {document.pk} are not those that were made.")
    return document


@transaction.atomic(durable=True)
def _keep(document: Document) -> None:
    Document.objects.bulk_create([document], ignore_conflicts=True)


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
