"""``publish_catalogue_index`` judges what it vouches for, and judges nothing twice. On a real registry."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from marketplace.models import BlueprintVersion, TrustedKey
from marketplace.services import ruleset as ruleset_module
from marketplace.services import sync_shelf
from marketplace.services.catalogue_index import PublishedIndex, publish_catalogue_index
from marketplace.services.oci.pack import pack
from marketplace.services.ruleset import ruleset
from tests.marketplace.catalogue_rows import NOW
from tests.marketplace.index_shelf import folders_of, with_files
from tests.marketplace.oci_shelf import NAME, Shelf, new_key, private_pem

pytestmark = pytest.mark.django_db(transaction=True)


def put(shelf: Shelf, folder: Any) -> None:
    """Publish an artifact of this folder, which nobody judged."""
    version = folder.contract.version
    shelf.sign(shelf.push(pack(folder), tag=version))


def publish(shelf: Shelf) -> PublishedIndex:
    return publish_catalogue_index(registry=shelf.registry, location=shelf.location, key=shelf.key, now=NOW)


def test_what_is_sound_is_in_it_and_what_came_since_is_all_that_is_judged_again(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []
    lint = sync_shelf.RunShelf.lint

    def noting(self: Any, folder: Any, digest: str, **words: Any) -> None:
        judged.append(folder.contract.version)
        lint(self, folder, digest, **words)

    monkeypatch.setattr(sync_shelf.RunShelf, "lint", noting)
    first, second, third = folders_of(tmp_path, 3)
    put(shelf, first)
    path = "manifests/base/deployment.yaml"
    put(shelf, with_files(second, {path: lambda text: text.replace("runAsNonRoot: true", "", 1)}))

    published = publish(shelf)

    assert (published.head.versions, published.head.serial, published.is_new) == (1, int(NOW.timestamp()), True)
    assert [(each.reference[-6:], each.reason[:6]) for each in published.refused] == [(":1.1.0", "BP-X04")]
    judged.clear()
    again = publish(shelf)
    assert (again.digest, again.is_new, judged) == (published.digest, False, ["1.1.0"])
    third = with_files(third, {"blueprint.yaml": lambda text: text.replace('from: ["1.1.x"]', "blocks: [<1.2.0]")})
    put(shelf, third)
    judged.clear()

    newer = publish(shelf)

    assert (newer.head.versions, newer.head.serial) == (2, published.head.serial + 1)
    assert judged == ["1.1.0", "1.2.0"]
    shelf.trust(may_attest=True)
    assert shelf.sync().created == [f"{shelf.location}/{NAME}:1.{minor}.0" for minor in (0, 2)]
    assert BlueprintVersion.objects.get(minor=2).digest == pack(third).digest


def test_another_linter_judges_everything_anew(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(shelf, folders_of(tmp_path, 1)[0])
    published = publish(shelf)
    other = f"sha256:{'b' * 64}"
    monkeypatch.setattr("marketplace.services.catalogue_index.ruleset", lambda: other)

    newer = publish(shelf)

    assert (newer.is_new, newer.head.serial, newer.head.rules) == (True, published.head.serial + 1, other)


def test_the_command_and_what_nobody_signed(shelf: Shelf, tmp_path: Path) -> None:
    key, out = tmp_path / "cosign.key", StringIO()
    key.write_bytes(private_pem(shelf.key))
    words = ["publish_catalogue_index", "--registry", str(shelf.location), "--key", str(key)]
    shelf.push(pack(folders_of(tmp_path, 1)[0]))
    with pytest.raises(CommandError, match="between 1 and 32 packs"):
        call_command(*words, stdout=out, stderr=StringIO())
    publisher = new_key()
    shelf.sign(pack(folders_of(tmp_path, 1)[0]).digest, key=publisher)
    signer = tmp_path / "cosign.pub"
    signer.write_bytes(shelf.trust(publisher).public_key.encode())

    call_command(*words, "--signer", str(signer), stdout=out)

    assert "published, number" in out.getvalue()
    assert "1 versions, 0 left out" in out.getvalue()
    assert not TrustedKey.objects.exclude(publisher="Notes Inc.").exists()


def test_the_rules_are_all_files_that_judge() -> None:
    files = {file.name for file in ruleset_module._files()}

    assert {"judge.py", "parse.py", "yaml.py", "kustomize.py", "objects.py", "names.py", "search.py"} <= files
    assert all((ruleset_module._ROOT / each).exists() for each in ruleset_module._JUDGES)
    assert len(ruleset()) == len("sha256:") + 64
