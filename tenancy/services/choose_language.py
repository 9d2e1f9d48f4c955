"""The language a person reads."""

from django.db import transaction

from tenancy.models import User


@transaction.atomic(durable=True)
def choose_language(*, user: User, language: str) -> None:
    """Keep the language in which this person gets the console and e-mails."""
    user.language = language
    user.save(update_fields=["language"])
