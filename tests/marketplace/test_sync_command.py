"""``manage.py sync_catalog`` says what it did, and names what is wrong with a folder."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from marketplace.models import Plan

pytestmark = pytest.mark.django_db


def test_says_what_it_did() -> None:
    first, second = StringIO(), StringIO()

    call_command("sync_catalog", stdout=first)
    call_command("sync_catalog", stdout=second)

    assert second.getvalue() == "Catalogue: 0 created, 0 updated.\n"
    assert first.getvalue() != second.getvalue()
    assert Plan.objects.count() == 5


def test_names_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    broken = tmp_path / "platform" / "thing"
    broken.mkdir(parents=True)
    (broken / "blueprint.yaml").write_text("kind: Blueprint\n")

    with pytest.raises(CommandError, match=r"BP-N01 metadata\.name"):
        call_command("sync_catalog", blueprints=tmp_path)

    assert not Plan.objects.exists()
