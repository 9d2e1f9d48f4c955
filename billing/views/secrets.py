"""The secrets of one Application in the console: names and age; type one, or have one made anew. Values stay unseen."""

from http import HTTPStatus

from django.contrib import messages
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from billing.views.applications import Visit, of_application
from billing.views.carts import see_other
from catalyst.core.errors import DomainError
from catalyst.core.secret_store import has_secret_store
from marketplace.selectors.secrets import list_secrets
from marketplace.services.application_secrets import rotate_secret, write_secret
from tenancy.selectors.organizations import ROLES_ATTRIBUTE
from tenancy.selectors.permissions import has_role


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@of_application("sees_apps")
def secrets(visit: Visit) -> HttpResponse:
    """List the secrets; what was sent is typed or made anew, and a refusal says why not."""
    try:
        return _act(visit) if visit.request.method == "POST" else _show(visit)
    except DomainError as error:
        return _show(visit, refusal=error)
    except (OperationalError, InterfaceError):
        return visit.show("application_secrets", HTTPStatus.SERVICE_UNAVAILABLE, is_broken=True)


def _act(visit: Visit) -> HttpResponse:
    sent, now = visit.request.POST, timezone.now()
    name = sent.get("name", "")[:64]
    if sent.get("action") == "rotate":
        issuer = sent.get("issuer", "")[:53]
        rotate_secret(application=visit.application, name=name, issuer=issuer, actor=visit.person, now=now)
        messages.success(visit.request, _("A new value was made. The Application has it after its next restart."))
    else:
        value = sent.get("value", "")
        write_secret(application=visit.application, name=name, value=value, actor=visit.person, now=now)
        messages.success(visit.request, _("Saved. The Application has it after its next restart."))
    names = [visit.organization.slug, visit.environment.env_type, visit.application.slug]
    return see_other(reverse("console-secrets", args=names))


def _show(visit: Visit, *, refusal: DomainError | None = None) -> HttpResponse:
    roles = getattr(visit.organization, ROLES_ATTRIBUTE)
    return visit.show(
        "application_secrets",
        refusal.status if refusal else HTTPStatus.OK,
        secrets=list_secrets(visit.application),
        has_store=has_secret_store(),
        writes_secrets=has_role(roles, "secret.write"),
        rotates_secrets=has_role(roles, "secret.rotate"),
        refusal=refusal,
    )
