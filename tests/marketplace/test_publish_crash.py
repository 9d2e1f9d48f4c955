"""Publishing breaks off anywhere, and revoking comes at any moment: nothing half-made and nothing revoked is taken."""

import threading
from pathlib import Path

import pytest
from django.db import connections

from marketplace.models import BlueprintVersion, TrustedKey
from marketplace.services.oci.artifact import ArtifactRefused
from marketplace.services.oci.registry import Registry
from marketplace.services.publish_blueprint import publish_blueprint
from marketplace.services.sync_registry import register_version, verify_artifact
from tests.conftest import owner_connection
from tests.marketplace.catalogue_rows import NOW
from tests.marketplace.oci_shelf import NAME, Shelf, make_folder, packed

pytestmark = pytest.mark.django_db(transaction=True)


class Broken(Exception):
    """The publisher's machine stops here."""


class BreaksOff(Registry):
    """A registry that is reached for so many writes, and then no more."""

    writes = 0

    def push_blob(self, repository: str, content: bytes) -> None:
        self._count()
        super().push_blob(repository, content)

    def push_manifest(self, repository: str, reference: str, content: bytes) -> None:
        self._count()
        super().push_manifest(repository, reference, content)

    def _count(self) -> None:
        if self.writes == 0:
            raise Broken
        self.writes -= 1


def test_a_publication_that_breaks_off_anywhere_has_no_tag_and_can_be_repeated(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    folder = make_folder(tmp_path)
    registry = BreaksOff(shelf.location.host)
    broken = 0
    while True:
        registry.writes = broken
        try:
            published = publish_blueprint(folder=folder, registry=registry, location=shelf.location, key=shelf.key)
        except Broken:
            broken += 1
            assert "1.0.0" not in shelf.registry.tags(shelf.repository)
            assert shelf.reasons() == []
        else:
            break

    assert broken == 10
    assert shelf.sync().created == [published.reference]


def test_control_a_tag_before_its_signature_would_be_found_unsigned(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    shelf.push(packed(make_folder(tmp_path)))

    assert shelf.reasons() == ["It is not signed."]


def test_a_version_waits_for_a_revocation_that_is_under_way(shelf: Shelf, tmp_path: Path) -> None:
    key = shelf.trust()
    shelf.publish(make_folder(tmp_path))
    verified = verify_artifact(shelf.registry, shelf.repository, name=NAME, tag="1.0.0", keys=[key])
    refusals: list[str] = []

    def register() -> None:
        try:
            register_version(verified=verified, reference="x", now=NOW)
        except ArtifactRefused as refused:
            refusals.append(refused.message)
        finally:
            connections.close_all()

    thread = threading.Thread(target=register)
    with owner_connection() as owner, owner.transaction():
        owner.execute("UPDATE marketplace_trustedkey SET revoked_at = now()")
        thread.start()
        thread.join(timeout=1)
        # The control: who only reads sees a key that is still believed.
        assert TrustedKey.objects.get().revoked_at is None
        assert thread.is_alive()
    thread.join(timeout=20)

    assert refusals == ["The key that signed it was revoked."]
    assert not BlueprintVersion.objects.exists()
