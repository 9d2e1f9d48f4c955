"""The console's invoices: list, one invoice with its credit notes, their PDFs, and whom they name."""

from http import HTTPStatus
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from billing.forms.billing_details import BillingDetailsForm, initial_details
from billing.models import Invoice
from billing.selectors.invoices import (
    billing_contact,
    get_billing_details,
    get_credit_note,
    get_invoice,
    list_invoices,
    shown_invoice,
)
from billing.services.billing_details import update_billing_details
from billing.services.documents import document_of
from billing.views.console import find_organization, shell
from billing.views.panels import load_panels, show_panels
from catalyst.core.errors import DomainError
from catalyst.core.http.downloads import pdf_response
from tenancy.models import Organization, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE
from tenancy.selectors.permissions import has_role

_PER_PAGE = 20
_PAGE = "invoices"


@never_cache
@require_safe
@login_required
def invoices(request: HttpRequest, slug: str) -> HttpResponse:
    """List the issued invoices, newest first."""
    organization = find_organization(request, slug)
    context = shell(request, organization, _PAGE)
    if not context["sees_money"]:
        return _refused(request, context)
    context |= load_panels({"invoices": lambda: _invoices(organization, request.GET.get("before", ""))})
    return show_panels(request, "console/invoices.html", context)


@never_cache
@require_safe
@login_required
def invoice(request: HttpRequest, slug: str, number: str) -> HttpResponse:
    """Show one invoice with its lines and its credit notes.

    :raises NotFound: the Organization has no invoice of this number.
    """
    organization = find_organization(request, slug)
    context = shell(request, organization, _PAGE)
    if not context["sees_money"]:
        return _refused(request, context)
    context["shown"] = shown_invoice(get_invoice(organization, number))
    return render(request, "console/invoice.html", context)


@never_cache
@require_safe
@login_required
def invoice_pdf(request: HttpRequest, slug: str, number: str) -> HttpResponse:
    """Answer with the invoice's one PDF; it is made here when no worker came yet.

    :raises NotFound: the Organization has no invoice of this number.
    """
    organization = find_organization(request, slug)
    if not _holds(organization, "billing.view"):
        return _refused(request, shell(request, organization, _PAGE))
    return pdf_response(bytes(document_of(get_invoice(organization, number)).content), name=number)


@never_cache
@require_safe
@login_required
def credit_note_pdf(request: HttpRequest, slug: str, number: str) -> HttpResponse:
    """Answer with the credit note's one PDF, as above.

    :raises NotFound: the Organization has no credit note of this number.
    """
    organization = find_organization(request, slug)
    if not _holds(organization, "billing.view"):
        return _refused(request, shell(request, organization, _PAGE))
    return pdf_response(bytes(document_of(get_credit_note(organization, number)).content), name=number)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def billing_details(request: HttpRequest, slug: str) -> HttpResponse:
    """Show and change whom the next invoices name, and where they are sent."""
    organization = find_organization(request, slug)
    context = shell(request, organization, _PAGE)
    if not context["edits_billing"]:
        return _refused(request, context)
    form = BillingDetailsForm(request.POST or None, initial=initial_details(get_billing_details(organization)))
    if request.method == "POST" and form.is_valid():
        actor = cast(User, request.user)
        try:
            update_billing_details(organization=organization, details=form.details(), actor=actor, now=timezone.now())
        except DomainError as error:
            form.add_error(error.pointer.strip("/") or None, error.message)
        else:
            messages.success(request, _("Saved. The next invoice will say so."))
            return redirect("console-billing-details", slug=slug)
    context |= {"form": form, "contact": billing_contact(organization)}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "console/billing_details.html", context, status=status)


def _invoices(organization: Organization, before: str) -> dict[str, Any]:
    """Return one page of the list; ``older`` is where the next one begins."""
    rows = list_invoices(organization).order_by("-id")
    is_later = before.isascii() and before.isdigit() and len(before) < 19
    if is_later:
        rows = rows.filter(pk__lt=int(before))
    page: list[Invoice] = list(rows[: _PER_PAGE + 1])
    older = page[_PER_PAGE - 1].pk if len(page) > _PER_PAGE else None
    return {"rows": [shown_invoice(row) for row in page[:_PER_PAGE]], "older": older, "is_later": is_later}


def _holds(organization: Organization, permission: str) -> bool:
    return has_role(getattr(organization, ROLES_ATTRIBUTE), permission)


def _refused(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
