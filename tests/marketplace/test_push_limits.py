"""Hostile packs and requests, before git or a repository hears of them."""

import struct
import zlib

import pytest

from catalyst.core.gitops import pack_limits
from catalyst.core.gitops.pack_limits import PackRefused, check_pack
from catalyst.core.gitops.push_protocol import Push, PushUnreadable, answer, read_push


def pack(*objects: bytes, count: int | None = None) -> bytes:
    head = b"PACK" + struct.pack(">II", 2, len(objects) if count is None else count)
    return head + b"".join(objects) + bytes(20)


def blob(content: bytes, *, says: int | None = None, kind: int = 3) -> bytes:
    size = len(content) if says is None else says
    head = [(kind << 4) | (size & 15)]
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + zlib.compress(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PACK",
        pack(count=10_001),
        pack(count=1),
        pack(blob(b"x", says=2)),
        pack(blob(b"xx", says=1)),
        pack(blob(b"x", says=6_000_000)),
        pack(blob(b"x", kind=5)),
        pack(blob(b"x")[:-1]),
        pack(b"\x30" + b"no zlib at all"),
        pack(*[blob(bytes(5_000_000))] * 14),
        pack(b"\x70" + bytes(20)),
        pack(blob(b"\x01\x80\x80\x80\x04", kind=7)[:1] + bytes(20) + zlib.compress(b"\x01\x80\x80\x80\x04")),
    ],
)
def test_a_pack_beyond_the_limits_is_refused_before_git_reads_it(content: bytes) -> None:
    with pytest.raises(PackRefused):
        check_pack(content)


def test_control_a_pack_within_the_limits_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_pack(pack(blob(b""), blob(b"y" * 70_000), blob(bytes(5_000_000)))) == 3

    monkeypatch.setattr(pack_limits, "MAX_UNPACKED_BYTES", 10**9)
    assert check_pack(pack(*[blob(bytes(5_000_000))] * 14)) == 14


@pytest.mark.parametrize("body", [b"", b"zzzz", b"0001", b"0004", b"0009hello0000", b"00320000", b"ffff"])
def test_what_git_does_not_say_is_not_read(body: bytes) -> None:
    with pytest.raises(PushUnreadable):
        read_push(body)


def test_a_long_answer_comes_in_bands() -> None:
    push = Push((), (), has_bands=True, pack=b"")

    told = answer(push, said="x" * 70_000, refusals={})

    assert told[:5] == b"fff0\x02"
    assert told[65520:65525] == b"118a\x02"
