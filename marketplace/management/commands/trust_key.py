"""``manage.py trust_key`` and its opposite: which publisher's key may sign the Blueprints of which place."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from catalyst.core.errors import DomainError
from marketplace.models import TrustedKey
from marketplace.services.trusted_keys import revoke_key, trust_key
from tenancy.models import Organization

_ACTOR = "command:trust_key"


class Command(BaseCommand):
    help = "Believe a publisher's key for one folder of a registry; list the keys; or revoke one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--publisher", metavar="NAME")
        parser.add_argument("--for", dest="location", metavar="REGISTRY", help="registry.example.om/catalog")
        parser.add_argument("--key", type=Path, metavar="FILE", help="cosign.pub")
        parser.add_argument("--source", choices=TrustedKey.Source.values, default=TrustedKey.Source.PUBLIC)
        parser.add_argument("--organization", metavar="SLUG", help="With --source org.")
        parser.add_argument("--expires", type=_end, metavar="DATE", help="Not believed from that day on, in UTC.")
        parser.add_argument("--may-attest", action="store_true", help="Believe its catalogue index about rendering.")
        parser.add_argument("--revoke", type=int, metavar="ID", help="Yanks all that this key signed.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["revoke"] is not None:
                yanked = revoke_key(key_id=options["revoke"], actor=_ACTOR, now=timezone.now())
                self.stdout.write(f"Revoked; {yanked} versions yanked.")
            elif options["key"] is not None:
                self.stdout.write(f"Trusted: {self._add(options)}")
            else:
                for key in TrustedKey.objects.order_by("location", "pk"):
                    state = "revoked" if key.revoked_at else "trusted"
                    self.stdout.write(f"{key.pk} {state} {key.source} {key.location} {key.fingerprint} {key.publisher}")
        except DomainError as error:
            raise CommandError(error.message) from None

    def _add(self, options: dict[str, Any]) -> TrustedKey:
        if not options["publisher"] or not options["location"]:
            raise CommandError("Say whose key it is and for which place: --publisher NAME --for REGISTRY.")
        slug = options["organization"]
        organization = Organization.objects.live().filter(slug=slug).first() if slug else None
        if slug and organization is None:
            raise CommandError(f"There is no Organization {slug}.")
        try:
            pem = options["key"].read_bytes()
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        return trust_key(
            publisher=options["publisher"],
            location=options["location"],
            pem=pem,
            source=options["source"],
            organization=organization,
            expires_at=options["expires"],
            may_attest=options["may_attest"],
            actor=_ACTOR,
            now=timezone.now(),
        )


def _end(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
