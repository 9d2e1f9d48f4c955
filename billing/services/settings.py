"""The Sovereign's billing settings: processor keys, sealed at rest and never shown again; whom its invoices name."""

from dataclasses import dataclass
from http import HTTPStatus

from django.utils import timezone
from django.utils.translation import gettext as _

from billing.models import BillingSettings
from billing.services.billing_details import clean_vatin
from catalyst.core.crypto import SealBroken, seal, unseal
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from tenancy.models import User
from tenancy.services.audit import append_audit

#: Fields that hold secrets, and how each must begin.
SECRETS = {"stripe_secret_key": ("sk_", "rk_"), "stripe_webhook_secret": ("whsec_",)}
PUBLIC = {"stripe_publishable_key": ("pk_",)}
#: Whom the next invoices name as the seller, with the longest text of each.
SELLER = {"seller_name": 120, "seller_name_ar": 120, "seller_address": 300, "seller_vatin": 30}


class BillingSettingsInvalid(DomainError):
    code = "billing_settings_invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class SecretState:
    """What may be shown of a secret."""

    configured: bool
    last4: str
    readable: bool = True


@use_case
def update_billing_settings(*, changes: dict[str, str | None], actor: User) -> None:
    """Change only the fields that are named: a text sets, ``None`` clears. What is not named stays.

    :raises BillingSettingsInvalid: an empty text, or one that cannot be such a key.
    :raises VatinInvalid: the seller's VAT number has not the shape of its country's.
    """
    row, _created = BillingSettings.objects.select_for_update().get_or_create(pk=1)
    for name, value in changes.items():
        _check(name, value)
        if name in SECRETS:
            if name == "stripe_webhook_secret" and value is not None:
                row.stripe_webhook_secret_previous_sealed = row.stripe_webhook_secret_sealed
            elif name == "stripe_webhook_secret":
                row.stripe_webhook_secret_previous_sealed = ""
            sealed = seal(value, place=f"billing_billingsettings:1:{name}") if value is not None else ""
            setattr(row, f"{name}_sealed", sealed)
        else:
            setattr(row, name, _cleaned(name, value or ""))
    row.updated_at = timezone.now()
    row.save()
    append_audit(
        stream="sovereign",
        actor=actor,
        action="billing_settings.changed",
        target="billing_settings",
        detail={name: "cleared" if value is None else "set" for name, value in changes.items()},
    )


def secret_state(name: str) -> SecretState:
    """Return whether a secret is stored and its last four characters."""
    row = BillingSettings.objects.filter(pk=1).first()
    sealed = getattr(row, f"{name}_sealed", "") if row else ""
    if not sealed:
        return SecretState(configured=False, last4="")
    try:
        return SecretState(configured=True, last4=unseal(sealed, place=f"billing_billingsettings:1:{name}")[-4:])
    except SealBroken:
        return SecretState(configured=True, last4="", readable=False)


def _cleaned(name: str, value: str) -> str:
    return clean_vatin(value, pointer=f"/{name}") if name == "seller_vatin" else value.strip()


def _check(name: str, value: str | None) -> None:
    if name in SELLER:
        if value is not None and not 0 < len(value) <= SELLER[name]:
            message = _("Write at most %(count)d characters. Send null to clear it.") % {"count": SELLER[name]}
            raise BillingSettingsInvalid(message, pointer=f"/{name}")
        return
    prefixes = {**SECRETS, **PUBLIC}.get(name)
    if prefixes is None:
        raise BillingSettingsInvalid(_("There is no setting called %s.") % name, pointer=f"/{name}")
    if value is not None and (not value.startswith(prefixes) or len(value) > 300 or not value.isascii()):
        raise BillingSettingsInvalid(
            _("This key must begin with %s. Send null to clear it.") % " / ".join(prefixes), pointer=f"/{name}"
        )
