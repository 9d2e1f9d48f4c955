"""What a person reads after the first start of the demo: where it is, how to get in, what to try."""

from pathlib import Path

from django.conf import settings
from django.urls import reverse

_FILE_MODE = 0o600


def write_welcome(*, people: dict[str, str], vouchers: dict[str, str], token: str) -> Path:
    """Write ``run/welcome.txt`` under the data folder and return its path. ``token`` is empty after the first time."""
    path = Path(settings.CATALYST_HOME) / "run" / "welcome.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made before it is filled: nobody else on the machine reads the token in between.
    path.touch(mode=_FILE_MODE)
    path.chmod(_FILE_MODE)
    path.write_text(welcome_text(people=people, vouchers=vouchers, token=token))
    return path


def welcome_text(*, people: dict[str, str], vouchers: dict[str, str], token: str) -> str:
    """Return the text. ``people`` maps address to role, ``vouchers`` code to what it does."""
    parts = [_sign_in(people), _vouchers(vouchers), _api(people, token), _git()]
    return "\n\n".join(parts) + "\n"


def _sign_in(people: dict[str, str]) -> str:
    mail = Path(settings.CATALYST_HOME) / "mail"
    return "\n".join(
        [
            f"Sign in at {settings.PUBLIC_URL}{reverse('account_login')} with one of these addresses:",
            *_table(people),
            f"There are no passwords. A code is sent by e-mail, and e-mails land as files in {mail}",
            f'Read the newest one:  cat "$(ls -t "{mail}"/* | head -n 1)"',
            f"Administration: {settings.PUBLIC_URL}/admin/",
        ]
    )


def _vouchers(vouchers: dict[str, str]) -> str:
    lines = [f"Vouchers ({settings.PUBLIC_URL}/redeem):", *_table(vouchers)]
    if settings.STRIPE_API_BASE:
        lines.append("What a voucher does not cover is paid on a sandbox card page; no money moves.")
    return "\n".join(lines)


def _api(people: dict[str, str], token: str) -> str:
    owner = list(people)[1]
    again = f"python manage.py issue_token --user {owner} --organization acme"
    if not token:
        return f"API: {settings.PUBLIC_URL}/api/docs/ (make a token: {again})"
    return f"API: {settings.PUBLIC_URL}/api/docs/\n  token of {owner}, shown once: {token}\n  another one: {again}"


def _git() -> str:
    return (
        "After the first order the Environment is a Git repository (any user name, an API token as the password):\n"
        f"  git clone {settings.PUBLIC_URL}/git/acme/acme-prod.git"
    )


def _table(rows: dict[str, str]) -> list[str]:
    width = max(len(key) for key in rows)
    return [f"  {key.ljust(width)}  {value}" for key, value in rows.items()]
