"""What a version says of itself: its own section of CHANGELOG.md, and whether that names a security fix."""

import pytest

from marketplace.services.changelog import CHANGELOG, MAX_CHARACTERS, changelog_of

TEXT = """# Changelog
All notable changes.

## [Unreleased]
### Security
- Not yet.

## [1.2.1] - 2026-11-24
### Fixed
- A word.

### Security
- CVE-2026-1 is closed.

## 1.2.0
### Security

### Added
- Books.

## v1.1.0 - 2026-01-01
Begun.
[1.2.1]: https://example.org
"""


@pytest.mark.parametrize(
    ("version", "section"),
    [
        ("1.2.1", ("### Fixed\n- A word.\n\n### Security\n- CVE-2026-1 is closed.", True)),
        ("1.2.0", ("### Security\n\n### Added\n- Books.", False)),
        ("1.1.0", ("Begun.\n[1.2.1]: https://example.org", False)),
        ("1.2", ("", False)),
        ("9.9.9", ("", False)),
    ],
)
def test_the_section_of_a_version(version: str, section: tuple[str, bool]) -> None:
    assert changelog_of({CHANGELOG: TEXT}, version) == section


def test_without_a_file_there_is_none_and_a_long_one_is_cut() -> None:
    assert changelog_of({}, "1.0.0") == ("", False)
    assert len(changelog_of({CHANGELOG: f"## 1.0.0\n{'x' * 30_000}"}, "1.0.0")[0]) == MAX_CHARACTERS
