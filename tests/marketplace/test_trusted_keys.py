"""Which key may sign for which place: one place is one shelf, a key is for ever trusted or for ever revoked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import InternalError, connection
from django.db.utils import IntegrityError, ProgrammingError

from marketplace.models import Blueprint, BlueprintVersion, Price, TrustedKey
from marketplace.services import trusted_keys
from marketplace.services.oci.keys import KeyRefused, fingerprint, public_pem
from marketplace.services.oci.registry import LocationRefused, Registry, read_location
from marketplace.services.oci.trust import NobodyTrusted, keys_for
from marketplace.services.sync_registry import register_version, verify_artifact
from marketplace.services.trusted_keys import KeyNotAdded, KeyNotFound, revoke_key, trust_key
from tenancy.models import AuditEntry, Organization
from tests.conftest import owner_connection
from tests.marketplace.catalogue_rows import NOW, START
from tests.marketplace.oci_shelf import NAME, Shelf, make_folder, new_key, private_pem

pytestmark = pytest.mark.django_db(transaction=True)

PLACE = "registry.example.om/catalog"


def add(**values: object) -> TrustedKey:
    pem = public_pem(new_key().public_key()).encode()
    words = {
        "publisher": "Notes Inc.",
        "location": PLACE,
        "pem": pem,
        "source": "public",
        "actor": "test",
        "now": START,
    }
    return trust_key(**(words | values))  # type: ignore[arg-type]


def an_organizations_folder(root: Path) -> Path:
    return make_folder(root, **{"visibility: listed": "visibility: private"}).rename(root / NAME)


def test_a_key_is_trusted_from_now_on_and_written_into_the_audit_trail() -> None:
    key = add()

    assert keys_for(read_location(PLACE), at=START) == [key]
    assert AuditEntry.objects.get().action == "trusted_key.added"


@pytest.mark.parametrize(
    "location", ["registry.example.om", "registry.example.om/catalog/more", "registry.example.om/other"]
)
def test_a_key_is_trusted_for_its_own_place_only(location: str) -> None:
    add()

    with pytest.raises(NobodyTrusted):
        keys_for(read_location(location), at=START)


def test_a_key_that_has_ended_or_not_begun_is_not_trusted() -> None:
    add(expires_at=NOW)

    assert len(keys_for(read_location(PLACE), at=NOW - timedelta(seconds=1))) == 1
    for moment in (NOW, START - timedelta(seconds=1)):
        with pytest.raises(NobodyTrusted):
            keys_for(read_location(PLACE), at=moment)


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"pem": b"nonsense"}, KeyRefused),
        ({"location": "https://registry.example.om"}, LocationRefused),
        ({"location": "registry.example.om/catalog:1.0"}, LocationRefused),
        ({"location": "registry.example.om/../x"}, LocationRefused),
        ({"location": "user@registry.example.om/x"}, LocationRefused),
        ({"location": "Registry.example.om/x"}, LocationRefused),
        ({"expires_at": START}, KeyNotAdded),
        ({"source": "org"}, KeyNotAdded),
    ],
)
def test_refuses(values: dict[str, object], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        add(**values)

    assert not TrustedKey.objects.exists()


def test_one_place_serves_one_shelf() -> None:
    add()

    with pytest.raises(KeyNotAdded, match="another shelf"):
        add(source="sovereign")
    assert TrustedKey.objects.count() == 1


@pytest.mark.parametrize("waits", [True, False])
def test_two_at_once_do_not_give_one_place_two_shelves(waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=1)
    check = trusted_keys._check_place

    def check_together(*args: Any, **words: Any) -> None:
        check(*args, **words)
        with suppress(threading.BrokenBarrierError):
            both.wait()

    def attempt(source: str) -> str:
        try:
            add(source=source)
        except KeyNotAdded:
            return "refused"
        else:
            return "added"
        finally:
            connection.close()

    monkeypatch.setattr(trusted_keys, "_check_place", check_together)
    if not waits:
        # Without the waiting both find the place free: this is the fault that the other case is there for.
        monkeypatch.setattr(trusted_keys, "wait_for_others", lambda: None)
    with ThreadPoolExecutor(max_workers=2) as pool:
        outcomes = sorted(pool.map(attempt, ["public", "sovereign"]))

    assert outcomes == (["added", "refused"] if waits else ["added", "added"])
    assert TrustedKey.objects.count() == outcomes.count("added")


def test_a_revoked_key_is_never_believed_again() -> None:
    pem = public_pem(new_key().public_key()).encode()
    revoke_key(key_id=add(pem=pem).pk, actor="test", now=NOW)

    with pytest.raises(KeyNotAdded, match="never believed again"):
        add(pem=pem)
    with pytest.raises(KeyNotFound):
        revoke_key(key_id=TrustedKey.objects.get().pk, actor="test", now=NOW)
    assert [entry.action for entry in AuditEntry.objects.order_by("seq")] == [
        "trusted_key.added",
        "trusted_key.revoked",
    ]


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE marketplace_trustedkey SET public_key = 'mine'", "immutable"),
        ("UPDATE marketplace_trustedkey SET location = 'elsewhere'", "immutable"),
        ("UPDATE marketplace_trustedkey SET revoked_at = NULL", "set once"),
        ("DELETE FROM marketplace_trustedkey", "append-only"),
    ],
)
def test_the_database_keeps_a_key_as_it_is(statement: str, refusal: str) -> None:
    revoke_key(key_id=add().pk, actor="test", now=NOW)

    with owner_connection() as owner, pytest.raises(Exception, match=refusal):
        owner.execute(statement)


def test_the_application_may_not_delete_keys() -> None:
    add()

    with pytest.raises((ProgrammingError, InternalError, IntegrityError)), connection.cursor() as cursor:
        cursor.execute("DELETE FROM marketplace_trustedkey")
    assert TrustedKey.objects.count() == 1


def test_a_version_that_was_verified_before_its_key_was_revoked_is_not_registered(shelf: Shelf, tmp_path: Path) -> None:
    key = shelf.trust()
    shelf.publish(make_folder(tmp_path))
    verified = verify_artifact(shelf.registry, shelf.repository, name=NAME, tag="1.0.0", keys=[key])
    revoke_key(key_id=key.pk, actor="test", now=NOW)

    with pytest.raises(Exception, match="was revoked"):
        register_version(verified=verified, reference="x", now=NOW)

    assert not BlueprintVersion.objects.exists()


def test_what_an_organization_trusts_stays_with_it_and_sets_no_price(
    shelf: Shelf, tmp_path: Path, organization: Organization
) -> None:
    key = public_pem(shelf.key.public_key()).encode()
    add(pem=key, location=str(shelf.location), source="org", organization=organization)
    shelf.publish(an_organizations_folder(tmp_path), source="org")

    report = shelf.sync()

    blueprint = Blueprint.objects.get()
    assert report.refused == []
    assert (blueprint.source, blueprint.organization, blueprint.visibility) == ("org", organization, "private")
    assert list(Blueprint.objects.visible_to(None)) == []
    assert not Price.objects.exists()


def test_a_shelf_shows_nothing_that_it_cannot(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    shelf.publish(an_organizations_folder(tmp_path), source="org")

    assert [reason[:22] for reason in shelf.reasons()] == ["BP-N04 spec.visibility"]


def test_the_commands_do_the_whole_of_it(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cosign.key").write_bytes(private_pem(shelf.key))
    (tmp_path / "cosign.pub").write_text(public_pem(shelf.key.public_key()))
    folder, place = make_folder(tmp_path), str(shelf.location)
    call_command("trust_key", "--publisher=Notes Inc.", f"--for={place}", f"--key={tmp_path}/cosign.pub")

    call_command("publish_blueprint", str(folder), f"--to={place}", f"--key={tmp_path}/cosign.key")
    call_command("sync_catalog", f"--from={place}")
    call_command("trust_key")

    digest, key = BlueprintVersion.objects.get().digest, TrustedKey.objects.get()
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"{place}/{NAME}:1.0.0@{digest}",
        f"{place}: 1 taken, 0 known, 0 refused.",
        f"{key.pk} trusted public {place} {fingerprint(shelf.key.public_key())} Notes Inc.",
    ]
    call_command("trust_key", f"--revoke={key.pk}")
    assert capsys.readouterr().out == "Revoked; 1 versions yanked.\n"


def test_the_command_takes_the_end_of_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cosign.pub").write_text(public_pem(new_key().public_key()))
    words = ["--publisher=Notes Inc.", f"--for={PLACE}", f"--key={tmp_path}/cosign.pub"]

    for wrong, reason in (("2001-01-01", "lies ahead"), ("soon", "--expires"), ("2031-02-30", "--expires")):
        with pytest.raises(CommandError, match=reason):
            call_command("trust_key", *words, f"--expires={wrong}")
    assert not TrustedKey.objects.exists()
    call_command("trust_key", *words, "--expires=2099-12-31")

    assert TrustedKey.objects.get().expires_at == datetime(2099, 12, 31, tzinfo=UTC)


def test_the_commands_say_what_is_wrong(tmp_path: Path, shelf: Shelf) -> None:
    (tmp_path / "cosign.key").write_bytes(b"nonsense")
    folder = str(make_folder(tmp_path))

    with pytest.raises(CommandError, match="private key in PEM form"):
        call_command("publish_blueprint", folder, f"--to={shelf.location}", f"--key={tmp_path}/cosign.key")
    with pytest.raises(CommandError, match="No such file"):
        call_command("publish_blueprint", folder, f"--to={shelf.location}", f"--key={tmp_path}/none.key")
    with pytest.raises(CommandError, match="No key is trusted"):
        call_command("sync_catalog", f"--from={shelf.location}")
    assert list(Registry(shelf.location.host).repositories(shelf.location.path)) == []
