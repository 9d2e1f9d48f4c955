"""``manage.py lint_blueprint`` judges a folder or an archive, for people and for machines."""

import io
import json
import tarfile
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from tests.marketplace.lint_draft import good

PLATFORM = Path(settings.ROOT) / "blueprints" / "platform"


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def lint(path: Path, *options: str) -> tuple[str, int]:
    output, code = StringIO(), 0
    try:
        call_command("lint_blueprint", str(path), *options, stdout=output)
    except SystemExit as ending:
        code = int(ending.code or 0)
    return output.getvalue(), code


@pytest.mark.parametrize("name", sorted(path.name for path in PLATFORM.iterdir()))
def test_every_shipped_blueprint_passes(name: str) -> None:
    text, code = lint(PLATFORM / name, "--json")

    answer = json.loads(text)
    assert (code, answer["refused"]) == (0, False)
    # No digest is known for these images yet; each is an exact release.
    assert {each["rule"] for each in answer["findings"]} == {"BP-M09"}


def test_says_file_line_rule_and_remedy(tmp_path: Path) -> None:
    draft = good()
    draft.spec["depends"] = []
    draft.change("manifests/base/others.yaml", "{name: app-data}", "{name: app-data, namespace: x}")

    text, code = lint(write(tmp_path / "handbook", draft.contents()))

    assert code == 1
    assert text == (
        "manifests/base/others.yaml:16: refused BP-M11 metadata.namespace: The namespace or release name is set. "
        "Leave both to the platform.\n1 refused, 0 warnings.\n"
    )


def test_meets_the_folders_beside_it(tmp_path: Path) -> None:
    draft = good()
    draft.spec["depends"] = []
    write(tmp_path / "handbook", draft.contents())
    twin = good()
    twin.document["metadata"]["name"] = "bp-handb00k"
    twin.spec["depends"] = []

    text, code = lint(write(tmp_path / "handb00k", twin.contents()), "--json")

    assert code == 1
    assert [each["rule"] for each in json.loads(text)["findings"]] == ["BP-N06"]


def test_judges_an_archive(tmp_path: Path) -> None:
    draft = good()
    draft.spec["depends"] = []
    draft.spec["card"]["category"] = "nowhere"
    packed = tmp_path / "bp-handbook.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        for path, content in draft.contents().items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))

    text, code = lint(packed, "--json")

    assert code == 1
    assert [each["rule"] for each in json.loads(text)["findings"]] == ["BP-C02"]


def test_an_organization_keeps_its_own_rules(tmp_path: Path) -> None:
    draft = good()
    draft.spec |= {"depends": [], "visibility": "private"}
    folder = write(tmp_path / "bp-handbook", draft.contents())

    assert lint(folder, "--source", "org") == ("0 refused, 0 warnings.\n", 0)
    assert lint(folder)[1] == 1


def test_a_hostile_file_is_one_finding(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.tgz"
    bomb.write_bytes(b"\x1f\x8b nonsense")

    text, code = lint(bomb)

    assert code == 1
    assert "BP-M06" in text


def test_names_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="does not exist"):
        call_command("lint_blueprint", str(tmp_path / "nothing"))
