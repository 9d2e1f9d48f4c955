"""What follows from a proof that somebody reads an address."""

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.db import transaction

from tenancy.models import User
from tenancy.models.user import normalize_email


@transaction.atomic(durable=True)
def confirm_email(*, email: str, language: str) -> User:
    """Return the person who owns a proven address, and make one when it is new.

    Two browsers may finish at once: the unique address decides, and both get the same person.
    """
    address = normalize_email(email)
    new = {"language": language, "password": make_password(None)}
    user, _created = User.objects.get_or_create(email=address, defaults=new)
    EmailAddress.objects.update_or_create(user=user, email=address, defaults={"verified": True, "primary": True})
    return user
