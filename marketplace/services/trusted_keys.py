"""Which keys this Sovereign believes. Adding and revoking are written into the audit trail."""

from datetime import datetime
from http import HTTPStatus

from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from marketplace.models import BlueprintVersion, TrustedKey
from marketplace.services.oci.keys import fingerprint, public_pem, read_public_key
from marketplace.services.oci.registry import read_location
from marketplace.services.sync_catalog import wait_for_others
from tenancy.models import Organization, User
from tenancy.services.audit import SOVEREIGN_STREAM, actor_name, append_audit, organization_stream


class KeyNotAdded(DomainError):
    code = "key_not_added"
    status = HTTPStatus.CONFLICT


class KeyNotFound(DomainError):
    code = "key_not_found"
    status = HTTPStatus.NOT_FOUND


@use_case
def trust_key(
    *,
    publisher: str,
    location: str,
    pem: bytes,
    source: str,
    organization: Organization | None = None,
    expires_at: datetime | None = None,
    may_attest: bool = False,
    actor: User | str,
    now: datetime,
) -> TrustedKey:
    """Believe a publisher's key for one folder of one registry, from now on.

    ``source`` is the shelf of what it signs there; one folder is one shelf. ``may_attest``: its catalogue index is
    believed about the rules that need rendering. That is for ever, too: to take it away, revoke the key.

    :raises LocationRefused: the place is not a host and a path.
    :raises KeyRefused: the file is not a public key that signs Blueprints.
    :raises KeyNotAdded: the folder serves another shelf, the key is known there, or it would have ended already.
    """
    wait_for_others()  # so that two cannot give one folder two shelves
    key, place = read_public_key(pem), str(read_location(location))
    if expires_at is not None and expires_at <= now:
        raise KeyNotAdded(_("Choose an end that lies ahead."))
    _check_place(place, source=source, organization=organization, key=fingerprint(key))
    row = TrustedKey.objects.create(
        publisher=publisher,
        location=place,
        source=source,
        organization=organization,
        public_key=public_pem(key),
        fingerprint=fingerprint(key),
        may_attest=may_attest,
        added_by=actor_name(actor),
        valid_from=now,
        expires_at=expires_at,
    )
    _tell_added(row, actor=actor)
    return row


def _tell_added(row: TrustedKey, *, actor: User | str) -> None:
    detail: dict[str, str | int] = {"location": row.location, "publisher": row.publisher, "may_attest": row.may_attest}
    _audit(row, "trusted_key.added", actor=actor, detail=detail)


@use_case
def revoke_key(*, key_id: int, actor: User | str, now: datetime) -> int:
    """Stop believing a key, and yank all that it signed. Returns how many versions that took out of the catalogue.

    A yanked version is not installed any more; where it runs, it keeps running.

    :raises KeyNotFound: there is no such key, or it was revoked before.
    """
    # Registering a version locks this row too: it sees the revocation, or its version is there to be yanked.
    key = TrustedKey.objects.select_for_update(of=("self",)).filter(pk=key_id, revoked_at=None).first()
    if key is None:
        raise KeyNotFound(_("There is no such key that is still believed."))
    TrustedKey.objects.filter(pk=key.pk).update(revoked_at=now)
    yanked = BlueprintVersion.objects.filter(signer=key, yanked_at=None).update(yanked_at=now)
    _audit(key, "trusted_key.revoked", actor=actor, detail={"location": key.location, "yanked": yanked})
    return yanked


def _check_place(place: str, *, source: str, organization: Organization | None, key: str) -> None:
    if (source == TrustedKey.Source.ORG) != (organization is not None):
        raise KeyNotAdded(_("Name the Organization for the shelf of one Organization, and for no other shelf."))
    others = list(TrustedKey.objects.filter(location=place))
    if any((other.source, other.organization_id) != (source, _pk(organization)) for other in others):
        raise KeyNotAdded(_("This place serves another shelf. Choose another folder of the registry."))
    if any(other.fingerprint == key for other in others):
        raise KeyNotAdded(_("This key is known there already. A revoked key is never believed again."))


def _pk(organization: Organization | None) -> int | None:
    return organization.pk if organization else None


def _audit(key: TrustedKey, action: str, *, actor: User | str, detail: dict[str, str | int]) -> None:
    stream = organization_stream(key.organization) if key.organization else SOVEREIGN_STREAM
    append_audit(stream=stream, actor=actor, action=action, target=f"trusted_key:{key.fingerprint}", detail=detail)
