"""A small authoritative DNS server for tests: real packets over UDP, answers as the test says."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest


@dataclass
class DnsServer:
    """``texts`` has the TXT records of each name, ``aliases`` the CNAME; ``is_broken`` answers SERVFAIL to all."""

    port: int
    texts: dict[str, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    is_broken: bool = False
    #: What was asked, as ``name type``.
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def prove(self, name: str, *tokens: str) -> None:
        """Let the record of a domain hold these tokens and nothing else."""
        self.texts[f"_catalyst.{name}"] = [f"catalyst-verify={token}" for token in tokens]

    def forget(self) -> None:
        self.texts.clear()
        self.aliases.clear()
        self.asked.clear()
        self.is_broken = False

    def answer(self, packet: bytes) -> bytes:
        question = dns.message.from_wire(packet)
        asked = question.question[0]
        name, kind = asked.name.to_text(omit_final_dot=True).lower(), asked.rdtype
        self.asked.append(f"{name} {dns.rdatatype.to_text(kind)}")
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.AA
        if self.is_broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire()
        if name in self.aliases:
            target = f"{self.aliases[name]}."
            reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "CNAME", target))
            name = self.aliases[name]
        texts = self.texts.get(name) if kind == dns.rdatatype.TXT else None
        if texts:
            owner = dns.name.from_text(name)
            reply.answer.append(dns.rrset.from_text(owner, 60, "IN", "TXT", *(_quoted(text) for text in texts)))
        elif name not in self.texts:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()


def _quoted(text: str) -> str:
    """Write a text as strings of at most 255 bytes, as a zone file has it."""
    parts = [text[start : start + 255] for start in range(0, len(text), 255)] or [""]
    return " ".join(f'"{part}"' for part in parts)


@contextmanager
def running_dns_server() -> Iterator[DnsServer]:
    """Run the server on a free port until the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        server = DnsServer(listening.getsockname()[1])

        def serve() -> None:
            while (received := listening.recvfrom(4096))[0] != b"stop":
                listening.sendto(server.answer(received[0]), received[1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.sendto(b"stop", ("127.0.0.1", server.port))
        thread.join(5)


@pytest.fixture(scope="session")
def _running_dns_server() -> Iterator[DnsServer]:
    with running_dns_server() as server:
        yield server


@pytest.fixture
def dns_server(_running_dns_server: DnsServer, settings: Any) -> DnsServer:
    """An empty DNS that the settings name; import it together with ``_running_dns_server``."""
    _running_dns_server.forget()
    settings.DNS_RESOLVERS = [_running_dns_server.address]
    return _running_dns_server
