"""A person. The e-mail address is the login; there is no password unless staff sets one for the local admin."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _


def normalize_email(address: str) -> str:
    """Return the one spelling under which an address is stored and compared."""
    return address.strip().lower()


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=normalize_email(email), **fields)
        if password:
            user.set_password(password)
        else:
            user.set_unusable_password()
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, staff_role=User.StaffRole.ADMIN, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=normalize_email(username or ""))


class User(AbstractBaseUser):
    class StaffRole(models.TextChoices):
        NONE = "", _("Not staff")
        ADMIN = "sovereign-admin", _("Sovereign administrator")
        SUPPORT = "support-agent", _("Support agent")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField(_("e-mail address"), unique=True)
    display_name = models.CharField(_("name"), max_length=120, blank=True)
    language = models.CharField(_("language"), max_length=8, default="en")
    staff_role = models.CharField(_("staff role"), max_length=20, choices=StaffRole, default="", blank=True)
    staff_groups = models.JSONField(_("staff groups"), default=list, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.CheckConstraint(condition=Q(Exact(F("email"), Lower("email"))), name="user_email_normal"),
            models.CheckConstraint(
                condition=Q(staff_role__in=["", "sovereign-admin", "support-agent"]), name="user_staff_role"
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.email

    @property
    def is_staff(self) -> bool:
        """Whether this person may open the admin at all; each page asks ``can`` for its own permission."""
        return bool(self.staff_role)

    @property
    def is_superuser(self) -> bool:
        return self.staff_role == self.StaffRole.ADMIN

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Answer Django's own question for models outside our apps, such as sessions."""
        return self.is_active and self.is_superuser

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_staff
