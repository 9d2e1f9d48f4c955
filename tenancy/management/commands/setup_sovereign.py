"""Write the Sovereign's one row: the first thing after ``migrate``."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalyst.core.errors import DomainError
from tenancy.services.sovereign import setup_sovereign


class Command(BaseCommand):
    help = "Say whose deployment this is. Later changes are made in the admin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--name-ar", default="")
        parser.add_argument("--domain", required=True)
        parser.add_argument("--currency", default="OMR")
        parser.add_argument("--time-zone", default="Asia/Muscat")
        parser.add_argument(
            "--order-prefix", default="OMN", help="Three capital letters that begin every order number."
        )
        parser.add_argument("--vat-percent", default="5")
        parser.add_argument("--support-email", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sovereign = setup_sovereign(
                name=options["name"],
                name_ar=options["name_ar"],
                domain=options["domain"],
                currency=options["currency"],
                time_zone=options["time_zone"],
                order_prefix=options["order_prefix"],
                vat_percent=Decimal(options["vat_percent"]),
                support_email=options["support_email"],
                actor="command:setup_sovereign",
            )
        except InvalidOperation:
            raise CommandError("--vat-percent is a number, for example 5.") from None
        except DomainError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{sovereign.name} is set up.")
