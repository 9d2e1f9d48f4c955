"""One question to the DNS: what stands in the TXT record that proves a domain.

Only TXT is asked and nothing that a customer names is ever connected to, so no answer leads anywhere. An alias proves
nothing: whoever a wildcard or a forgotten CNAME points to could write the record. Source: RFC 1034 §3.6.2;
docs/domains.md.
"""

from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.name
import dns.nameserver
import dns.rdataclass
import dns.rdatatype
import dns.resolver
from django.conf import settings

from tenancy.models import Domain

Trouble = Domain.Trouble
RECORD_PREFIX: Final = "_catalyst."
VALUE_PREFIX: Final = "catalyst-verify="
#: Seconds for one server, and for the question as a whole.
_TIMEOUT, _LIFETIME = 2.0, 6.0
#: How much of what stands there is kept, to be shown.
_MOST_SHOWN, _LONGEST_SHOWN = 3, 120
#: More than this nobody has in one record; the rest is not looked at.
_MOST_READ: Final = 50


@dataclass(frozen=True, slots=True)
class Answer:
    """What the DNS said: the texts, or why there are none (``trouble``)."""

    values: frozenset[str] = frozenset()
    trouble: Domain.Trouble = Trouble.NONE

    @property
    def shown(self) -> list[str]:
        """The first texts, as far as they can be printed."""
        printed = ("".join(each for each in value if each.isprintable()) for value in sorted(self.values))
        return [value[:_LONGEST_SHOWN] for value in printed][:_MOST_SHOWN]


def record_name(name: str) -> str:
    """Return where the proof of a domain stands."""
    return f"{RECORD_PREFIX}{name}"


def record_value(token: str) -> str:
    """Return the text that proves a domain."""
    return f"{VALUE_PREFIX}{token}"


def ask_proof(name: str) -> Answer:
    """Return what the record of a domain holds; call outside every transaction, it takes up to six seconds."""
    question = dns.name.from_text(record_name(name))
    try:
        answer = _resolver().resolve(question, "TXT", search=False, lifetime=_LIFETIME, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN as error:
        return Answer(trouble=Trouble.MISSING if error.canonical_name == question else Trouble.ALIAS)
    except dns.exception.DNSException:
        return Answer(trouble=Trouble.SILENT)
    if answer.canonical_name != question:
        return Answer(trouble=Trouble.ALIAS)
    records = answer.response.get_rrset(answer.response.answer, question, dns.rdataclass.IN, dns.rdatatype.TXT)
    texts = [b"".join(each.strings).decode("utf-8", "replace") for each in list(records or ())[:_MOST_READ]]
    return Answer(frozenset(texts), Trouble.NONE if texts else Trouble.MISSING)


def _resolver() -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=not settings.DNS_RESOLVERS)
    resolver.timeout = _TIMEOUT
    if settings.DNS_RESOLVERS:
        servers = [_server(each) for each in settings.DNS_RESOLVERS]
        resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in servers]
    return resolver


def _server(text: str) -> tuple[str, int]:
    """Read ``192.0.2.1``, ``192.0.2.1:5353``, ``2001:db8::1`` or ``[2001:db8::1]:5353``."""
    if text.startswith("["):
        address, _separator, port = text[1:].partition("]:")
        return address.removesuffix("]"), int(port or 53)
    address, _separator, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    return address, int(port or 53)
