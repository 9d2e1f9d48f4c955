"""A domain is claimed, and given up. Whether it is proven is written by ``domain_checks``.

Source: docs/domains.md.
"""

import secrets
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from django.db import IntegrityError
from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.database import use_case, violated_constraint
from catalyst.core.errors import DomainError, NotFound
from tenancy.models import Domain, Organization, User
from tenancy.selectors.domains import uses_of
from tenancy.services.audit import append_audit, organization_stream
from tenancy.services.domain_names import normalize_domain

#: How many an Organization may have at a time: each is asked for again and again.
MOST_DOMAINS: Final = 50
_RANDOM_BYTES: Final = 24  # 192 bits, 32 characters


class DomainExists(DomainError):
    """The Organization has it in its list already."""

    code = "domain_exists"
    status = HTTPStatus.CONFLICT


class DomainLimit(DomainError):
    """The Organization has as many as it may have."""

    code = "domain_limit"
    status = HTTPStatus.CONFLICT


class DomainInUse(DomainError):
    """Something runs under it; ``extra["used_by"]`` says what."""

    code = "domain_in_use"
    status = HTTPStatus.CONFLICT


def add_domain(*, organization: Organization, name: str, actor: User, now: datetime) -> Domain:
    """Note that an Organization says a name is its own, with a new token for the proof.

    Whether somebody else has it is not said here: the proof decides. A name that was given up gets a new token, so that
    an old record in the DNS proves nothing.

    :raises DomainInvalid: it is no domain. :raises DomainReserved: nobody can have it here.
    :raises DomainExists: it is in the list. :raises DomainLimit: there are too many.
    """
    normal = normalize_domain(name)
    try:
        return _insert(organization, normal, actor=actor, now=now)
    except IntegrityError as error:
        if violated_constraint(error) != "domain_once_per_organization":
            raise
        text = _("%(name)s is in your list already.") % {"name": normal}
        raise DomainExists(text, pointer="/name") from None


@use_case
def _insert(organization: Organization, name: str, *, actor: User, now: datetime) -> Domain:
    # The Organization's row is the lock: two at once must not both be the last one.
    Organization.objects.select_for_update(of=("self",), no_key=True).get(pk=organization.pk)
    if Domain.objects.kept().filter(organization=organization).count() >= MOST_DOMAINS:
        text = _("You have %(number)s domains, which is as many as there can be. Remove one first.")
        raise DomainLimit(text % {"number": MOST_DOMAINS})
    domain = Domain(
        organization=organization,
        name=name,
        token=secrets.token_urlsafe(_RANDOM_BYTES),
        next_check_at=now,
        created_at=now,
    )
    domain.save(force_insert=True)
    tell(domain, "domain.added", actor=actor, now=now)
    return domain


@use_case
def remove_domain(*, domain_id: int, actor: User | str, now: datetime) -> None:
    """Give a domain up; its token proves nothing from now on.

    :raises NotFound: it is given up already.
    :raises DomainInUse: an Application runs under it, or a Change that waits would let one.
    """
    # Whoever puts an Application under it locks the same row.
    domain = Domain.objects.kept().select_for_update(of=("self",), no_key=True).filter(pk=domain_id).first()
    if domain is None:
        raise NotFound(_("Not found."))
    if used_by := uses_of(domain):
        text = _("%(users)s uses %(name)s. Give it another address first.")
        words = {"users": ", ".join(used_by), "name": domain.name}
        raise DomainInUse(text % words, extra={"used_by": used_by})
    release(domain, actor=actor, now=now)


def release(domain: Domain, *, actor: User | str, now: datetime) -> None:
    """Write that a domain is given up; a step, its row is locked."""
    domain.state, domain.next_check_at, domain.missing_since = Domain.State.RELEASED, None, None
    domain.save(update_fields=["state", "next_check_at", "missing_since"])
    tell(domain, "domain.removed", actor=actor, now=now)


def tell(domain: Domain, topic: str, *, actor: User | str, now: datetime, **detail: Any) -> None:
    """Publish what happened to a domain, and note who did it; a step."""
    stream = organization_stream(domain.organization)
    append_audit(
        stream=stream, actor=actor, action=topic, target=f"domain:{domain.uuid}", detail={"name": domain.name, **detail}
    )
    outbox.publish(
        topic=topic,
        # It may happen again: each time is a fact of its own.
        key=f"{topic}:{domain.pk}:{int(now.timestamp() * 1_000_000)}",
        stream=stream,
        payload={
            "organization": domain.organization.slug,
            "organization_id": domain.organization_id,
            "domain": domain.name,
            "domain_id": domain.pk,
            "status": domain.state,
            **detail,
        },
    )
