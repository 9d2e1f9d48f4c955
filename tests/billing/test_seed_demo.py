"""``manage.py seed_demo``: the demo is complete after the first run and the same after the second."""

import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from billing.management.commands.seed_demo import FULL, PART, SPENT
from billing.models import BillingSettings, LedgerEntry, Voucher
from billing.services.settings import secret_state
from billing.services.stripe_events import verify_event
from catalyst.local.sandbox_stripe.webhooks import sign
from catalyst.local.secrets import local_secret
from tenancy.models import ApiToken, AuditEntry, Membership, Organization, Sovereign, User
from tests.factories import SovereignFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _sandbox(catalyst_home: Path, settings: Any) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    settings.PUBLIC_URL = "http://localhost:8000"


def _welcome(catalyst_home: Path) -> str:
    return (catalyst_home / "run" / "welcome.txt").read_text()


def _token(text: str) -> str:
    return next(word for word in text.split() if word.startswith("cat_"))


def _preview(code: str) -> tuple[int, bool | None]:
    response = APIClient().post("/api/v1/vouchers/redeem-preview/", {"code": code}, format="json")
    return response.status_code, response.json().get("accepting_redemptions")


def _rows() -> list[Any]:
    models: tuple[Any, ...] = (
        Sovereign,
        User,
        Organization,
        Membership,
        ApiToken,
        BillingSettings,
        Voucher,
        AuditEntry,
    )
    return [list(model.objects.order_by("pk").values()) for model in (*models, LedgerEntry)]


def test_makes_everything_the_first_time(catalyst_home: Path) -> None:
    call_command("seed_demo")

    sovereign = Sovereign.objects.get()
    assert (sovereign.name, sovereign.domain, sovereign.is_sandbox) == ("Demo Sovereign", "localhost", True)
    assert User.objects.get(email="admin@demo.example").staff_role == "sovereign-admin"
    roles = Membership.objects.filter(organization__slug="acme").values_list("user__email", "role")
    assert dict(roles) == {"owner@acme.example": "org-admin", "viewer@acme.example": "org-viewer"}
    assert secret_state("stripe_secret_key").configured
    assert [_preview(code) for code in (FULL, PART, SPENT)] == [(200, True), (200, True), (410, False)]


def test_tells_how_to_get_in(catalyst_home: Path) -> None:
    call_command("seed_demo")

    text = _welcome(catalyst_home)
    for word in ("admin@demo.example", "owner@acme.example", FULL, PART, SPENT, str(catalyst_home / "mail")):
        assert word in text
    assert "git clone http://localhost:8000/git/acme/acme-prod.git" in text
    assert (catalyst_home / "run" / "welcome.txt").stat().st_mode & 0o077 == 0
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {_token(text)}")
    assert client.get("/api/v1/organizations/acme/balance/").status_code == 200


def test_changes_nothing_the_second_time(catalyst_home: Path) -> None:
    call_command("seed_demo")
    before = _rows()

    call_command("seed_demo")

    assert _rows() == before
    assert "cat_" not in _welcome(catalyst_home)


def test_stores_the_secret_of_the_sandbox_card_page(catalyst_home: Path) -> None:
    call_command("seed_demo")

    body = b'{"id": "evt_1", "object": "event", "type": "x"}'
    secret = f"whsec_{local_secret(catalyst_home, 'sandbox-webhook')}"

    assert verify_event(body=body, signature=sign(body, secret, int(time.time())))["id"] == "evt_1"


def test_leaves_stored_keys_alone(settings: Any) -> None:
    settings.STRIPE_API_BASE = ""

    call_command("seed_demo")

    assert not secret_state("stripe_secret_key").configured


def test_adds_nothing_to_a_real_sovereign() -> None:
    SovereignFactory.create()
    before = _rows()

    call_command("seed_demo")

    assert _rows() == before


def test_refuses_production_settings(settings: Any) -> None:
    settings.SETTINGS_MODULE = "catalyst.settings.prod"

    with pytest.raises(CommandError):
        call_command("seed_demo")

    assert (Sovereign.objects.count(), User.objects.count()) == (0, 0)
