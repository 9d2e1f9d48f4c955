"""People who do not arrive through the sign-in page."""

from django.db import transaction

from tenancy.models import User
from tenancy.models.user import normalize_email
from tenancy.services.audit import SOVEREIGN_STREAM, append_audit


@transaction.atomic(durable=True)
def ensure_user(*, email: str, actor: User | str, display_name: str = "") -> User:
    """Return the person with this address, made when missing, without a password: an e-mailed code opens."""
    address = normalize_email(email)
    user = User.objects.filter(email=address).first()
    if user is not None:
        return user
    user = User.objects.create_user(address, display_name=display_name)
    append_audit(stream=SOVEREIGN_STREAM, actor=actor, action="user.created", target=f"user:{user.uuid}", detail={})
    return user
