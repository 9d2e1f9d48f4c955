"""The domains of one Organization in the console: the record that proves each, what was found, and a look at it now."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, cast

import idna
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from billing.views.panels import load_panels, show_panels
from catalyst.core.errors import DomainError, NotFound
from tenancy.models import Domain, Organization, User
from tenancy.selectors.domains import find_domain, list_domains, uses_of
from tenancy.selectors.organizations import ROLES_ATTRIBUTE
from tenancy.selectors.permissions import has_role
from tenancy.services.domain_checks import GRACE, check_domain
from tenancy.services.domain_names import LONGEST_NAME
from tenancy.services.domain_proof import record_name, record_value
from tenancy.services.domains import add_domain, remove_domain


@dataclass(frozen=True, slots=True)
class Shown:
    """One domain as the page lists it; ``reading`` is its name in its own letters, where that is another one."""

    row: Domain
    reading: str
    record: str
    value: str
    uses: list[str]

    @property
    def lost_at(self) -> datetime | None:
        """When the proof is lost unless it comes back."""
        return self.row.missing_since + GRACE if self.row.missing_since else None


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def domains(request: HttpRequest, slug: str) -> HttpResponse:
    """List the domains; add one, look at its record now, or remove it."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "domains")
    roles = getattr(organization, ROLES_ATTRIBUTE)
    if not has_role(roles, "domain.view"):
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
    context |= {"proves": has_role(roles, "domain.verify"), "longest": LONGEST_NAME}
    if request.method != "POST":
        return _show(request, organization, context)
    if not context["proves"]:
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
    try:
        return _act(request, organization)
    except NotFound:
        raise
    except DomainError as error:
        context |= {"refusal": error, "typed": request.POST.get("name", "")[:300]}
        return _show(request, organization, context)


def _act(request: HttpRequest, organization: Organization) -> HttpResponse:
    sent, person, now = request.POST, cast(User, request.user), timezone.now()
    action, page = sent.get("action", ""), reverse("console-domains", args=[organization.slug])
    if action == "add":
        domain = add_domain(organization=organization, name=sent.get("name", "")[:600], actor=person, now=now)
        text = _("%(name)s is in the list. Now set its record in the DNS.")
        messages.success(request, text % {"name": domain.name})
        return see_other(f"{page}#domain-{domain.uuid}")
    domain = find_domain(organization, _as_uuid(sent.get("domain", "")))
    if action == "remove":
        remove_domain(domain_id=domain.pk, actor=person, now=now)
        messages.success(request, _("%(name)s is removed.") % {"name": domain.name})
        return see_other(page)
    domain = check_domain(domain=domain, actor=person, now=now)
    if domain.state == Domain.State.VERIFIED and not domain.trouble:
        messages.success(request, _("%(name)s is proven to be yours.") % {"name": domain.name})
    else:
        text = _("We did not find the record of %(name)s. Below its name stands what we found.")
        messages.warning(request, text % {"name": domain.name})
    return see_other(f"{page}#domain-{domain.uuid}")


def _show(request: HttpRequest, organization: Organization, context: dict[str, Any]) -> HttpResponse:
    context |= load_panels({"domains": lambda: _shown(organization)})
    refusal = context.get("refusal")
    if refusal and not context["broken"]:
        context["is_about_name"] = refusal.pointer == "/name"
        return render(request, "console/domains.html", context, status=refusal.status)
    return show_panels(request, "console/domains.html", context)


def _shown(organization: Organization) -> list[Shown]:
    return [
        Shown(row, _reading(row.name), record_name(row.name), record_value(row.token), uses_of(row))
        for row in list_domains(organization)
    ]


def _reading(name: str) -> str:
    if "xn--" not in name:
        return ""
    try:
        return idna.decode(name)
    except idna.IDNAError:
        return ""


def _as_uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(_("Not found.")) from None
