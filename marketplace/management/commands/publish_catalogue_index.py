"""``manage.py publish_catalogue_index``: vouch for all that lies in a folder of a registry; harmless to repeat."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from catalyst.core.errors import DomainError
from marketplace.management.commands.publish_blueprint import read_password
from marketplace.services.catalogue_index import publish_catalogue_index
from marketplace.services.oci.keys import MAX_KEY, read_private_key, read_public_key
from marketplace.services.oci.registry import Registry, read_location, read_login


class Command(BaseCommand):
    help = "Judge every Blueprint version in a folder of a registry and publish one signed index of the sound ones."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--registry", required=True, metavar="REGISTRY", help="registry.example.om/catalog")
        parser.add_argument("--key", required=True, type=Path, metavar="FILE", help="cosign.key, or a key in PKCS #8.")
        parser.add_argument(
            *("--signer", "-s"),
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help="cosign.pub of whoever else signed Blueprints there; may be repeated.",
        )
        parser.add_argument("--source", choices=("public", "sovereign", "org"), default="public")
        parser.add_argument("--password-file", type=Path, metavar="FILE", help="Without it the password is asked for.")
        parser.add_argument("--login", type=Path, metavar="FILE", help="One line: user:password.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            location = read_location(options["registry"])
            pem = options["key"].read_bytes()[: MAX_KEY + 1]
            published = publish_catalogue_index(
                registry=Registry(location.host, read_login(options["login"])),
                location=location,
                key=read_private_key(pem, password=read_password(pem, options["password_file"])),
                signers=[read_public_key(file.read_bytes()) for file in options["signer"]],
                source=options["source"],
                now=timezone.now(),
            )
        except DomainError as error:
            raise CommandError(error.message) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        for refusal in published.refused:
            self.stderr.write(f"{refusal.reference}: {refusal.reason}")
        head, word = published.head, "published" if published.is_new else "unchanged"
        counts = f"number {head.serial}, {head.versions} versions, {len(published.refused)} left out"
        self.stdout.write(f"{published.reference}@{published.digest}: {word}, {counts}.")
