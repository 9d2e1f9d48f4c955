"""``manage.py publish_blueprint``: sign one Blueprint folder and put it into a registry; harmless to repeat."""

import getpass
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalyst.core.errors import DomainError
from marketplace.services.oci.keys import MAX_KEY, read_private_key
from marketplace.services.oci.registry import Registry, read_location, read_login
from marketplace.services.publish_blueprint import publish_blueprint


class Command(BaseCommand):
    help = "Lint, pack, sign and push one Blueprint, then read it back as a stranger would."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="The folder with blueprint.yaml.")
        parser.add_argument("--to", required=True, metavar="REGISTRY", help="For example registry.example.om/catalog.")
        parser.add_argument("--key", required=True, type=Path, metavar="FILE", help="cosign.key, or a key in PKCS #8.")
        parser.add_argument("--source", choices=("public", "sovereign", "org"), default="public")
        parser.add_argument("--password-file", type=Path, metavar="FILE", help="Without it the password is asked for.")
        parser.add_argument("--login", type=Path, metavar="FILE", help="One line: user:password.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            location = read_location(options["to"])
            pem = options["key"].read_bytes()[: MAX_KEY + 1]
            key = read_private_key(pem, password=read_password(pem, options["password_file"]))
            registry = Registry(location.host, read_login(options["login"]))
            published = publish_blueprint(
                folder=options["path"].resolve(),
                registry=registry,
                location=location,
                key=key,
                source=options["source"],
            )
        except DomainError as error:
            raise CommandError(error.message) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        self.stdout.write(f"{published.reference}@{published.digest}")


def read_password(pem: bytes, file: Path | None) -> bytes:
    """Return the password of a key: the file's first line, or what a person types."""
    if file is not None:
        return file.read_bytes().split(b"\n", maxsplit=1)[0].rstrip(b"\r")
    if b"ENCRYPTED" in pem and sys.stdin.isatty():
        return getpass.getpass("Password of the key: ").encode()
    return b""
