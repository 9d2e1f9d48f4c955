"""Secrets that somebody typed into a file: known forms everywhere, and values that are too random to be words.

Source: blueprints.md §7 of the design, rule BP-X03.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_lint.rules import broken
from marketplace.services.blueprint_lint.subject import Subject, texts_in

_KNOWN = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bglpat-[A-Za-z0-9_-]{20,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|\bAGE-SECRET-KEY-1[A-Z0-9]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.|[a-z]{2,10}://[^\s:/@]{1,64}:[^\s:/@$]{3,64}@"
)
#: One of these stands in everything that ``_KNOWN`` finds, and finding them takes a hundredth of the time.
_HINTS: Final = (
    *("PRIVATE KEY", "AKIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "glpat-", "xox", "k_live_", "k_test_"),
    *("AGE-SECRET-KEY-1", "eyJ"),
)
_LOGIN = re.compile(r"://(?<=[a-z]{2}://)[^\s:/@]{1,64}:[^\s:/@$]{3,64}@")
_SECRET_NAME = re.compile(r"(?:PASSWORD|PASSWD|SECRET|TOKEN|(?:PRIVATE|API|ACCESS|ENCRYPTION)_?KEY)$", re.IGNORECASE)
_NOT_SECRET = re.compile(r"sha(?:256|512)[:-]\S+")
_SHORTEST: Final = 24
_RANDOM = re.compile(rf"[A-Za-z0-9+/=_-]{{{_SHORTEST},200}}")
_MOST_ORDER: Final = 4.2  # bits per character; English words have less, base64 of random bytes more


def check_secrets(subject: Subject) -> Iterator[Finding]:
    """Yield every place that looks like a secret; the secret itself is not repeated."""
    for path in sorted(subject.files):
        line = line_of_secret(subject.files[path])
        if line:
            yield broken("BP-X03", path, line=line)
    for source in subject.sources:
        for path, text in texts_in(source.data):
            if is_random(text) or (_is_named_secret(source.data, path) and text):
                yield source.finding("BP-X03", path)


@lru_cache(maxsize=64)
def line_of_secret(content: bytes) -> int:
    """Return the line of the first known form of a secret; 0 when there is none."""
    text = content.decode(errors="replace")
    is_suspect = any(hint in text for hint in _HINTS) or _LOGIN.search(text)
    match = _KNOWN.search(text) if is_suspect else None
    return text.count("\n", 0, match.start()) + 1 if match else 0


def _is_named_secret(data: object, path: str) -> bool:
    """Tell whether this is the literal ``value`` of an environment variable whose name says that it is a secret."""
    if not path.endswith(".value"):
        return False
    above = path.rpartition(".")[0]
    node = data
    for step in above.split("."):
        if isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, list) and step.isdigit() and int(step) < len(node):
            node = node[int(step)]
        else:
            return False
    return isinstance(node, dict) and _SECRET_NAME.search(str(node.get("name"))) is not None


def is_random(text: str) -> bool:
    """Tell whether a text holds a word that no person would think of."""
    if len(text) < _SHORTEST:  # nearly all of them
        return False
    for word in _RANDOM.findall(_NOT_SECRET.sub("", text)):
        has_kinds = all(re.search(kind, word) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
        if has_kinds and _order(word) > _MOST_ORDER:
            return True
    return False


def _order(word: str) -> float:
    counts = Counter(word).values()
    return -sum(count / len(word) * math.log2(count / len(word)) for count in counts)
