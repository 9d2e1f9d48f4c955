"""The style guide: for staff, with every piece of the pages in it, and with colors that can be told apart."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from catalyst.core.contrast import contrast, judge_pairs, read_tokens
from catalyst.core.status import STATUSES
from tenancy.models import User
from tests import factories

CSS = Path(settings.ROOT) / "static" / "css"
PIECES = {f"ui/{path.name}" for path in (Path(settings.ROOT) / "templates" / "ui").glob("*.html")}


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(factories.UserFactory.create(staff_role=User.StaffRole.ADMIN))
    return client


@pytest.mark.usefixtures("sovereign")
def test_shows_every_piece_and_every_status(staff: Client) -> None:
    response = staff.get("/ui/")

    assert response.status_code == 200
    assert PIECES - {template.name for template in response.templates} == set()
    page = response.content.decode()
    assert [key for key in STATUSES if f'data-status="{key}"' not in page] == []


@pytest.mark.usefixtures("sovereign")
@pytest.mark.parametrize("path", ["/ui/", "/ar/ui/", "/ui/errors/500/"])
def test_is_not_there_for_others(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404
    client.force_login(factories.UserFactory.create())
    assert client.get(path).status_code == 404


@pytest.mark.usefixtures("sovereign")
def test_is_there_for_everybody_on_a_development_machine(client: Client, settings: Any) -> None:
    settings.DEBUG = True

    assert client.get("/ui/").status_code == 200


@pytest.mark.usefixtures("sovereign")
def test_shows_the_error_pages_and_no_others(staff: Client) -> None:
    assert "Something went wrong on our side" in staff.get("/ui/errors/500/").content.decode()
    assert staff.get("/ui/errors/base/").status_code == 404


def test_colors_can_be_told_apart() -> None:
    css = (CSS / "tokens.css").read_text()

    assert [f"{pair.front} on {pair.ground}: {pair.ratios}" for pair in judge_pairs(css) if not pair.is_enough] == []


def test_a_pale_color_is_noticed() -> None:
    css = (CSS / "tokens.css").read_text().replace("--muted: light-dark(#54615e", "--muted: light-dark(#9aa5a2")

    assert {(pair.front, pair.ground) for pair in judge_pairs(css) if not pair.is_enough} == {
        ("muted", "paper"),
        ("muted", "surface"),
        ("muted", "sunken"),
        ("muted", "grey-soft"),
    }


def test_measures_as_the_standard_does() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert read_tokens("  --ink: light-dark(#17211f, #e7ecea);") == {"ink": ("#17211f", "#e7ecea")}
