"""What a version says of itself in CHANGELOG.md.

Source: keepachangelog.com 1.1.0 (the form of headings and of "Security").
"""

import re
from collections.abc import Mapping
from typing import Final

CHANGELOG: Final = "CHANGELOG.md"
#: Longer ones are cut: a page shows this, and nobody reads on.
MAX_CHARACTERS: Final = 20_000

_VERSION = re.compile(r"##\s+\[?v?([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?)\]?(?:\s.*)?")
_SECURITY = re.compile(r"###\s+Security\s*", re.IGNORECASE)


def changelog_of(files: Mapping[str, str], version: str) -> tuple[str, bool]:
    """Return the section of one version, and whether it names a security fix; empty when there is none.

    The section begins below ``## [1.2.1] - 2026-11-24`` and ends at the next heading of its rank; below a heading
    ``### Security`` stands at least one line when it is a security fix.
    """
    section: list[str] = []
    is_inside = is_secure = is_below_security = False
    for line in files.get(CHANGELOG, "").splitlines():
        if line.startswith("## "):
            if is_inside:
                break
            found = _VERSION.fullmatch(line.strip())
            is_inside = found is not None and found[1] == version
            continue
        if not is_inside:
            continue
        section.append(line)
        if line.startswith("### "):
            is_below_security = _SECURITY.fullmatch(line) is not None
        elif is_below_security and line.strip():
            is_secure = True
    return "\n".join(section).strip()[:MAX_CHARACTERS], is_secure
