"""Configure one Application in the console: a form from its schema, one Change, secrets apart."""

import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse, QueryDict
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from billing.views.applications import Visit, of_application
from billing.views.asked_changes import ask_for_change
from billing.views.carts import see_other
from catalyst.core import idempotency
from catalyst.core.errors import DomainError
from marketplace.forms.schema_form import SchemaForm
from marketplace.forms.schema_words import SIZES
from marketplace.models import Application
from marketplace.selectors.capacity import Footprint, footprint_of
from marketplace.selectors.form_surroundings import surroundings_of
from marketplace.selectors.installed import is_change_waiting
from marketplace.services.application_secrets import write_secret
from marketplace.services.edits import PreviewRequired
from marketplace.services.edits_config import ConfigurationRefused, SettingImmutable, schema_of
from marketplace.services.edits_configuration import NothingToChange, plan_configuration
from marketplace.services.planner_request import ChangeRequest, Configure


@dataclass(frozen=True, slots=True)
class SizeOffer:
    """One size, and what an Application of it requests."""

    size: str
    label: str
    needs: Footprint


@require_http_methods(["GET", "HEAD", "POST"])
@of_application("changes_apps")
def configure(visit: Visit) -> HttpResponse:
    """Show what can be set; what was sent becomes one Change, or comes back with what is wrong."""
    try:
        if visit.request.method != "POST":
            return _show(visit, _form(visit))
        form = _form(visit, visit.request.POST)
        if not form.is_valid():
            return _show(visit, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        return _save(visit, form)
    except (OperationalError, InterfaceError):
        return visit.show("application_configure", HTTPStatus.SERVICE_UNAVAILABLE, is_broken=True)


def _save(visit: Visit, form: SchemaForm) -> HttpResponse:
    """Make the Change first: a refusal then leaves the secrets as they were, too.

    Where the Environment has rules it becomes a preview, and secrets, which no rule is about, are written with it.
    """
    try:
        looked = _plan(visit, form)
        for name, value in form.secrets.items():
            write_secret(application=visit.application, name=name, value=value, actor=visit.person, now=timezone.now())
    except (ConfigurationRefused, SettingImmutable) as error:
        for problem in error.extra.get("problems", [{"pointer": error.pointer, "message": error.message}]):
            place = problem["pointer"].removeprefix("/config").strip("/").replace("/", ".")
            form.add_problem(place, problem["message"])
        return _show(visit, form, status=error.status)
    except DomainError as error:
        return _show(visit, form, refusal=error, status=error.status)
    if looked is not None:
        return looked
    messages.success(visit.request, _("Saved. You see here when it is in effect."))
    return see_other(visit.address)


def _look(visit: Visit, form: SchemaForm) -> HttpResponse:
    sent = visit.request.POST
    wanted = Configure(application=visit.application.slug, config=form.values, size=sent.get("size", "")[:8])
    request = ChangeRequest(configure=(wanted,))
    reason = sent.get("reason", "").strip()[:500]
    return ask_for_change(visit.request, visit.environment, request, reason=reason)


def _plan(visit: Visit, form: SchemaForm) -> HttpResponse | None:
    """Make the Change; where it has to be looked at first, return the way to its preview."""
    sent = visit.request.POST
    try:
        plan_configuration(
            environment=visit.environment,
            application=visit.application.slug,
            config=form.values,
            size=sent.get("size", "")[:8],
            actor=visit.person,
            reason=sent.get("reason", "").strip()[:500],
            now=timezone.now(),
            key=idempotency.check_key(key) if (key := sent.get("key")) else "",
        )
    except PreviewRequired:
        return _look(visit, form)
    except NothingToChange:
        # A new value of a secret changes nothing that Git holds.
        if not form.secrets:
            raise
    return None


def _form(visit: Visit, data: QueryDict | None = None) -> SchemaForm:
    row = visit.application
    return SchemaForm(
        schema_of(row.blueprint_version),
        initial=row.config,
        language=get_language() or "en",
        around=surroundings_of(row),
        data=data,
        is_installed=True,
    )


def _show(
    visit: Visit, form: SchemaForm, *, refusal: DomainError | None = None, status: int = HTTPStatus.OK
) -> HttpResponse:
    sent = visit.request.POST
    return visit.show(
        "application_configure",
        status,
        form=form,
        has_settings=bool(form.root.controls or form.root.branches),
        sizes=_sizes(visit.application),
        size=sent.get("size", visit.application.size),
        reason=sent.get("reason", "")[:500],
        refusal=refusal,
        is_waiting=is_change_waiting(visit.environment.pk),
        key=uuid.uuid4().hex,
    )


def _sizes(row: Application) -> list[SizeOffer]:
    offers: list[SizeOffer] = []
    for size, label in SIZES.items():
        copy: Any = Application(blueprint_version=row.blueprint_version, size=size)
        offers.append(SizeOffer(size, str(label), footprint_of(copy)))
    return offers
