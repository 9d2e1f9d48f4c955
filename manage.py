#!/usr/bin/env python3
"""Django's command line. The embedded servers of a running `make run` are found by the settings."""

import os
import sys

try:
    from django.core.management import execute_from_command_line
except ImportError:
    sys.exit("Django is not installed for this Python. `make run` makes .venv; then use: .venv/bin/python manage.py …")

#: Commands that change or read the schema itself work as its owner; all others as the application does.
OWNER_COMMANDS = {
    "check",
    "createcachetable",
    "dbshell",
    "flush",
    "inspectdb",
    "makemigrations",
    "migrate",
    "optimizemigration",
    "prepare_local",
    "showmigrations",
    "sqlflush",
    "sqlmigrate",
    "squashmigrations",
}


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "catalyst.settings.dev")
    command = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")
    if command in OWNER_COMMANDS or command.startswith("rebuild"):
        os.environ["CATALYST_DB_ROLE"] = ""
    else:
        os.environ.setdefault("CATALYST_DB_ROLE", "catalyst_app")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
