"""Invoices and credit notes: to look at, to download, and, where there is the right, to refund."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from billing.admin.base import MoneyAdmin, shown_amount
from billing.admin.refunds import RefundPages
from billing.models import CreditNote, Invoice
from billing.selectors.invoices import document_number, parse_document_number
from billing.services.documents import document_of
from catalyst.core.http.downloads import pdf_response
from tenancy.admin import ReadOnlyInline

_VIEW = "billing.view_all"


class CreditNoteInline(ReadOnlyInline):
    model = CreditNote
    fields = ("shown_number", "state", "credit", "card", "reason", "issued_by", "issued_at", "pdf")
    readonly_fields = ("shown_number", "credit", "card", "pdf")
    ordering = ("id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CreditNote]:
        notes: QuerySet[CreditNote] = super().get_queryset(request).select_related("invoice")
        return notes

    @admin.display(description=_("number"))
    def shown_number(self, note: CreditNote) -> str:
        return document_number(note.series, note.number)

    @admin.display(description=_("to credit"))
    def credit(self, note: CreditNote) -> str:
        return shown_amount(note.credit_minor, note.invoice.currency_id)

    @admin.display(description=_("to the card"))
    def card(self, note: CreditNote) -> str:
        return shown_amount(note.card_minor, note.invoice.currency_id)

    @admin.display(description=_("document"))
    def pdf(self, note: CreditNote) -> SafeString:
        return format_html('<a href="{}">PDF</a>', reverse("admin:billing_creditnote_pdf", args=[note.pk]))


@admin.register(Invoice)
class InvoiceAdmin(RefundPages):
    view_permission = _VIEW
    list_display = ("shown_number", "organization_slug", "state", "total", "credit", "card", "issued_at", "pdf")
    list_select_related = ("organization__organization", "order")
    list_filter = ("state",)
    search_fields = ("=order__number", "=organization__organization__slug", "=psp_invoice_id")
    search_help_text = _("Number, order, Organization, or the processor's id")
    ordering = ("-id",)
    fields = (
        "shown_number",
        "uuid",
        "organization_slug",
        "state",
        "order",
        "period",
        "shown_lines",
        "total",
        "tax",
        "credit",
        "card",
        "back_to_credit",
        "back_to_card",
        "parties",
        "psp_invoice_id",
        "issued_at",
        "paid_at",
        "pdf",
    )
    inlines = (CreditNoteInline,)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.pdf_view)
        return [path("<int:invoice_id>/pdf/", view, name="billing_invoice_pdf"), *super().get_urls()]

    def pdf_view(self, request: HttpRequest, invoice_id: int) -> HttpResponse:
        """Answer with the document; a draft has none (404)."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        invoice = Invoice.objects.filter(pk=invoice_id, number__isnull=False).first()
        if invoice is None:
            raise Http404
        return pdf_response(bytes(document_of(invoice).content), name=self.shown_number(invoice))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Invoice], search_term: str
    ) -> tuple[QuerySet[Invoice], bool]:
        """Find by the number as people write it, too."""
        parsed = parse_document_number(search_term.strip().upper())
        if parsed is not None:
            return queryset.filter(series=parsed[0], number=parsed[1]), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=_("number"), ordering="number")
    def shown_number(self, invoice: Invoice) -> str:
        return document_number(invoice.series, invoice.number) if invoice.number else "-"

    @admin.display(description=_("lines"))
    def shown_lines(self, invoice: Invoice) -> SafeString:
        rows = (
            (line["title"], line["quantity"], shown_amount(line["total_minor"], invoice.currency_id))
            for line in invoice.lines
        )
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{} × {} · {}</li>", rows))

    @admin.display(description=_("parties"))
    def parties(self, invoice: Invoice) -> SafeString:
        parties = ((facts.get("name", "-"), facts.get("vatin") or "-") for facts in (invoice.seller, invoice.buyer))
        return format_html_join(" → ", "<bdi>{}</bdi> ({})", parties)

    @admin.display(description=_("total"), ordering="total_minor")
    def total(self, invoice: Invoice) -> str:
        return shown_amount(invoice.total_minor, invoice.currency_id)

    @admin.display(description=_("VAT included"))
    def tax(self, invoice: Invoice) -> str:
        return f"{shown_amount(invoice.tax_minor, invoice.currency_id)} ({invoice.tax_percent} %)"

    @admin.display(description=_("credit part"))
    def credit(self, invoice: Invoice) -> str:
        return shown_amount(invoice.credit_minor, invoice.currency_id)

    @admin.display(description=_("card part"))
    def card(self, invoice: Invoice) -> str:
        return shown_amount(invoice.card_minor, invoice.currency_id)

    @admin.display(description=_("back to credit"))
    def back_to_credit(self, invoice: Invoice) -> str:
        return shown_amount(invoice.credit_refunded_minor, invoice.currency_id)

    @admin.display(description=_("back to the card"))
    def back_to_card(self, invoice: Invoice) -> str:
        return shown_amount(invoice.card_refunded_minor, invoice.currency_id)

    @admin.display(description=_("document"))
    def pdf(self, invoice: Invoice) -> SafeString | str:
        if not invoice.number:
            return "-"
        return format_html('<a href="{}">PDF</a>', reverse("admin:billing_invoice_pdf", args=[invoice.pk]))


@admin.register(CreditNote)
class CreditNoteAdmin(MoneyAdmin):
    view_permission = _VIEW
    list_display = ("shown_number", "organization_slug", "for_invoice", "state", "credit", "card", "issued_at", "pdf")
    list_select_related = ("organization__organization", "invoice")
    list_filter = ("state",)
    search_fields = ("=organization__organization__slug", "=psp_refund_id")
    ordering = ("-id",)
    fields = (
        "shown_number",
        "uuid",
        "organization_slug",
        "invoice",
        "state",
        "credit",
        "card",
        "tax",
        "reason",
        "issued_by",
        "issued_at",
        "psp_refund_id",
        "pdf",
    )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.pdf_view)
        return [path("<int:note_id>/pdf/", view, name="billing_creditnote_pdf"), *super().get_urls()]

    def pdf_view(self, request: HttpRequest, note_id: int) -> HttpResponse:
        """Answer with the document."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        note = CreditNote.objects.select_related("invoice").filter(pk=note_id).first()
        if note is None:
            raise Http404
        return pdf_response(bytes(document_of(note).content), name=self.shown_number(note))

    @admin.display(description=_("number"), ordering="number")
    def shown_number(self, note: CreditNote) -> str:
        return document_number(note.series, note.number)

    @admin.display(description=_("invoice"))
    def for_invoice(self, note: CreditNote) -> str:
        return document_number(note.invoice.series, note.invoice.number or 0)

    @admin.display(description=_("to credit"))
    def credit(self, note: CreditNote) -> str:
        return shown_amount(note.credit_minor, note.invoice.currency_id)

    @admin.display(description=_("to the card"))
    def card(self, note: CreditNote) -> str:
        return shown_amount(note.card_minor, note.invoice.currency_id)

    @admin.display(description=_("VAT included"))
    def tax(self, note: CreditNote) -> str:
        return shown_amount(note.tax_minor, note.invoice.currency_id)

    @admin.display(description=_("document"))
    def pdf(self, note: CreditNote) -> SafeString:
        return format_html('<a href="{}">PDF</a>', reverse("admin:billing_creditnote_pdf", args=[note.pk]))
