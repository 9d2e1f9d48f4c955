"""Quick readers say what the general ones say, or nothing."""

import io
import tarfile
from collections.abc import Callable

import pytest

from marketplace.services.blueprint_folder import read_folder
from marketplace.services.blueprint_lint import secrets_in_text
from marketplace.services.oci import archive
from marketplace.services.oci.ustar import read_canonical
from tests.marketplace.catalogue_rows import SHIPPED

FOLDERS = sorted(path.parent for path in (SHIPPED / "platform").glob("*/blueprint.yaml"))[:4]


def tar(**words: object) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as made:
        member = tarfile.TarInfo("a/b.yaml")
        member.size, member.mode = 5, 0o644
        for name, value in words.items():
            setattr(member, name, value)
        made.addfile(member, io.BytesIO(b"a: 1\n"))
    return stream.getvalue()


def test_an_archive_of_ours_is_read_as_the_general_reader_reads_it() -> None:
    for folder in FOLDERS:
        files = read_folder(folder).files
        plain = archive._inflate(archive.pack(files))

        found = read_canonical(plain)

        assert found == {path: text.encode() for path, text in files.items()}
        assert archive.unpack(archive.pack(files)) == dict(files)


@pytest.mark.parametrize(
    "changed",
    [
        lambda: tar(mode=0o755),
        lambda: tar(uname="root"),
        lambda: tar(mtime=1),
        lambda: tar(type=tarfile.DIRTYPE),
        lambda: tar(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        lambda: tar(name="ä.yaml"),
        lambda: tar()[:-1024] + b"x" + tar()[-1023:],
        lambda: tar()[:600] + b"x" + tar()[601:],
        lambda: tar()[:700],
        lambda: tar()[:1024] + tar(),
        lambda: tar()[:124] + b"-0000000005\0" + tar()[136:],
        lambda: b"",
    ],
)
def test_whatever_differs_is_left_to_the_general_reader(changed: Callable[[], bytes]) -> None:
    assert read_canonical(tar()) == {"a/b.yaml": b"a: 1\n"}

    assert read_canonical(changed()) is None


@pytest.mark.parametrize(
    "secret",
    [
        *("-----BEGIN RSA PRIVATE KEY-----", "AKIA" + "A" * 16, "glpat-" + "a" * 20, "xoxb-" + "a" * 12),
        *(f"gh{kind}_" + "a" * 36 for kind in "pousr"),
        *("sk_live_" + "a" * 20, "rk_test_" + "a" * 20, "AGE-SECRET-KEY-1" + "A" * 24),
        *("eyJhbGciOiJIUzI1NiJ9.eyJhbGciOiJIUzI1NiJ9.", "postgres://admin:hunter22@db", "xx://a:bcd@"),
    ],
)
def test_every_known_form_of_a_secret_is_suspected_first(secret: str) -> None:
    assert secrets_in_text._KNOWN.search(secret)

    assert secrets_in_text.line_of_secret(f"one\ntwo {secret} three\n".encode()) == 2
