"""Print one API token, once; it stands alone on the last line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from catalyst.core.errors import DomainError
from tenancy.models import Organization, User
from tenancy.models.user import normalize_email
from tenancy.services.staff import set_staff_role
from tenancy.services.tokens import issue_token
from tenancy.services.users import ensure_user

_ACTOR = "command:issue_token"


class Command(BaseCommand):
    help = "Issue an API token. Without --organization it acts as the person; without --scopes it may what they may."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="EMAIL")
        parser.add_argument("--create", action="store_true", help="Make the person when the address is new.")
        parser.add_argument(
            "--staff", metavar="ROLE", help="Give the person this staff role: sovereign-admin, support-agent."
        )
        parser.add_argument("--organization", metavar="SLUG", help="The token acts in this Organization only.")
        parser.add_argument("--scopes", default="", help="Permissions, separated by commas.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = self._find_user(options["user"], create=options["create"])
            if options["staff"]:
                user = set_staff_role(user_id=user.pk, role=options["staff"], actor=_ACTOR)
            _, plaintext = issue_token(
                user=user,
                organization=self._find_organization(options["organization"]),
                scopes=[scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
                name="issue_token",
                actor=_ACTOR,
                now=timezone.now(),
            )
        except DomainError as error:
            raise CommandError(error.message) from None
        self.stdout.write(plaintext)

    def _find_user(self, email: str, *, create: bool) -> User:
        if create:
            return ensure_user(email=email, actor=_ACTOR)
        user = User.objects.filter(email=normalize_email(email)).first()
        if user is None:
            raise CommandError(f"Nobody has the address {email}. Add --create to make the person.")
        return user

    def _find_organization(self, slug: str | None) -> Organization | None:
        if not slug:
            return None
        organization = Organization.objects.live().filter(slug=slug).first()
        if organization is None:
            raise CommandError(f"There is no Organization {slug}.")
        return organization
