"""Delete protection: a protected Application cannot be removed until somebody with the right lifts that."""

from datetime import datetime

from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import NotFound
from marketplace.models import Application
from tenancy.models import Environment, User
from tenancy.services.audit import append_audit, organization_stream


@use_case
def set_protection(
    *, environment: Environment, name: str, is_protected: bool, actor: User, now: datetime
) -> Application:
    """Protect an Application that stands on ``main``, or lift that; what is so already stays so without a word.

    :raises NotFound: there is none of this name.
    """
    rows = Application.objects.select_related("environment__organization").filter(environment=environment, slug=name)
    standing = rows.filter(removed_by__isnull=True).exclude(change__commit="")
    application = standing.select_for_update(of=("self",), no_key=True).first()
    if application is None:
        raise NotFound(_("Not found."))
    if application.is_protected == is_protected:
        return application
    application.is_protected = is_protected
    application.save(update_fields=["is_protected"])
    verb = "protected" if is_protected else "unprotected"
    stream = organization_stream(application.environment.organization)
    names = {"application": name, "environment": environment.name}
    append_audit(
        stream=stream, actor=actor, action=f"application.{verb}", target=f"application:{application.pk}", detail=names
    )
    outbox.publish(
        topic=f"application.{verb}",
        key=f"application.{verb}:{application.pk}:{int(now.timestamp() * 1_000_000)}",
        stream=stream,
        payload={**names, "environment_id": environment.pk, "status": verb},
    )
    return application
