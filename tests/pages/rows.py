"""The few rows that pages need."""

from typing import Any

from tenancy.models import Sovereign, User


def make_sovereign() -> Sovereign:
    return Sovereign.objects.create(pk=1, name="Oman Cloud", name_ar="سحابة عُمان", domain="cloud.example")


def make_person(email: str = "person@example.com", **fields: Any) -> User:
    return User.objects.create_user(email, **fields)
