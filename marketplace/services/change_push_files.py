"""What a pushed branch has that ``main`` has not: only files that people write, small, plain, and without a secret.

Every commit of the branch is looked at, not only its last: what one of them holds is in Git for good.
Source: gitops.md §12 and security.md §6 of the design; docs/git.md.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import pygit2
from django.utils.translation import gettext as _
from pygit2.enums import FileMode

from catalyst.core.errors import DomainError
from catalyst.core.gitops.incoming import Incoming
from catalyst.core.gitops.yaml import MAX_BYTES
from marketplace.manifests.paths import APPLICATION, RESERVED_APPLICATIONS
from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_lint.secrets_in_text import line_of_secret

MAX_COMMITS: Final = 50
MAX_FILES: Final = 50
README: Final = "README.md"
CODE_OWNERS: Final = "CODEOWNERS"
INTENT: Final = re.compile(rf"apps/({APPLICATION.pattern})/application\.yaml")

_MOST_FINDINGS: Final = 50
_LONGEST_REASON: Final = 500
_DEPTH: Final = 3
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class ChangePushRefused(DomainError):
    """The push cannot become a Change. ``message`` has a line for each reason; nothing has changed."""

    code = "push_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class PushedFiles:
    """``changed`` maps the files that people write to their new content, None where it is gone.

    ``reason`` is what the newest commit says below its first line.
    """

    changed: Mapping[str, bytes | None]
    reason: str


def refused(findings: Collection[Finding]) -> ChangePushRefused:
    """Return the refusal that tells each finding: file, line, rule and what to do."""
    lines = [each.as_line().rstrip() for each in sorted(findings, key=lambda each: (each.file, each.line))]
    lines = lines[:_MOST_FINDINGS]
    if len(findings) > _MOST_FINDINGS:
        lines.append(_("… and %(count)d more.") % {"count": len(findings) - _MOST_FINDINGS})
    return ChangePushRefused("\n".join(lines))


def read_pushed(incoming: Incoming, *, head: str, tip: str) -> PushedFiles:
    """Return what the commits above ``head`` come to.

    :raises ChangePushRefused: they do not begin at ``head``, or hold what nobody may push; with every finding.
    """
    commits = _commits_above(incoming, head=head, tip=tip)
    base = incoming.repository[head].peel(pygit2.Commit).tree
    named: set[str] = set()
    findings: list[Finding] = []
    changed: dict[str, bytes | None] = {}
    for each in reversed(commits):
        label = "" if each is commits[0] else f"{str(each.id)[:8]}:"
        found = _Comparison(base, label)
        changed = found.compare(each.tree)
        named |= {str(each.id), *found.named}
        findings += found.findings
        if line_of_secret(each.raw_message):
            findings.append(_finding("secret_in_text", f"{str(each.id)[:8]}:", *_secret_words()))
    if findings:
        raise refused(list(dict.fromkeys(findings)))
    if not incoming.is_all_named(named):
        raise ChangePushRefused(
            _("This push holds objects that none of its commits needs. Run git gc, then push again.")
        )
    return PushedFiles(changed, _reason(commits[0]) if commits else "")


def _commits_above(incoming: Incoming, *, head: str, tip: str) -> list[pygit2.Commit]:
    """Return the commits from ``tip`` down to above ``head``, the newest first."""
    commits: list[pygit2.Commit] = []
    commit = incoming.commit(tip)
    while commit is not None and str(commit.id) != head:
        commits.append(commit)
        if len(commit.parent_ids) > 1:
            text = _("%(commit)s is a merge. Run git rebase origin/main instead, then push again.")
            raise ChangePushRefused(text % {"commit": str(commit.id)[:8]})
        if len(commits) > MAX_COMMITS:
            break
        commit = commit.parents[0] if commit.parent_ids else None
    if commit is None or str(commit.id) != head:
        text = _(
            "This branch does not begin at the newest commit of main (%(head)s), or has more than %(most)d commits. "
            "Run git fetch origin, then git rebase origin/main, and push again."
        )
        raise ChangePushRefused(text % {"head": head[:8], "most": MAX_COMMITS})
    return commits


class _Comparison:
    """Compares the tree of one pushed commit with that of ``main``; what is equal is not opened."""

    def __init__(self, base: pygit2.Tree, label: str) -> None:
        self._base, self._label = base, label
        self.findings: list[Finding] = []
        self.named: set[str] = set()

    def compare(self, tree: pygit2.Tree) -> dict[str, bytes | None]:
        """Return what differs among the files that people write; everything else that differs is a finding."""
        changed: dict[str, bytes | None] = {}
        self.named.add(str(tree.id))
        for number, (path, before, after) in enumerate(self._differences(self._base, tree, "", 0)):
            if number >= MAX_FILES:
                text = _("More than %(most)d files differ from main.") % {"most": MAX_FILES}
                self._refuse("too_many_files", "", text, _("Push fewer of them at once."))
                break
            is_editable = path in {README, CODE_OWNERS} or is_intent(path)
            if after is None:
                if is_editable:
                    changed[path] = None
            elif not is_editable:
                self._refuse_path(path, is_rendered=isinstance(before, pygit2.Blob))
            elif (content := self._content(path, after)) is not None:
                changed[path] = content
        return changed

    def _differences(
        self, old: pygit2.Tree | None, new: pygit2.Tree | None, place: str, depth: int
    ) -> Iterator[tuple[str, pygit2.Object | None, pygit2.Object | None]]:
        before, after = _entries(old), _entries(new)
        for name in sorted({*before, *after}):
            one, other = before.get(name), after.get(name)
            if one is not None and other is not None and (one.id, one.filemode) == (other.id, other.filemode):
                continue
            path = f"{place}{name}"
            if other is not None:
                self.named.add(str(other.id))
            trees = [each if isinstance(each, pygit2.Tree) else None for each in (one, other)]
            if (
                any(trees)
                and depth < _DEPTH
                and all(each is None or isinstance(each, pygit2.Tree) for each in (one, other))
            ):
                yield from self._differences(trees[0], trees[1], f"{path}/", depth + 1)
            else:
                yield path, one, other

    def _content(self, path: str, entry: pygit2.Object) -> bytes | None:
        found = _judge(entry)
        if isinstance(found, bytes):
            return found
        rule, line, problem, fix = found
        self._refuse(rule, path, problem, fix, line=line)
        return None

    def _refuse_path(self, path: str, *, is_rendered: bool) -> None:
        if is_rendered:
            text = _("The platform renders this file from what is asked for.")
            fix = _("Take it from main: git checkout origin/main -- %(path)s") % {"path": path[:200]}
            self._refuse("rendered_file", path, text, fix)
        else:
            fix = _("Edit apps/<application>/application.yaml, README.md or CODEOWNERS, and remove this file.")
            self._refuse("path_refused", path, _("This file has no place in an Environment."), fix)

    def _refuse(self, rule: str, path: str, problem: str, fix: str, *, line: int = 0) -> None:
        self.findings.append(_finding(rule, f"{self._label}{path[:200]}", problem, fix, line=line))


def _judge(entry: pygit2.Object) -> bytes | tuple[str, int, str, str]:
    """Return the content of a file that may be pushed, or the rule, the line, the problem and what to do."""
    if not isinstance(entry, pygit2.Blob) or entry.filemode != FileMode.BLOB:
        problem = _("This is a link, a submodule, or marked as a program.")
        return "file_refused", 0, problem, _("Push plain files only (mode 100644).")
    if entry.size > MAX_BYTES:
        return "file_refused", 0, _("The file is longer than 256 KiB."), _("Make it shorter.")
    content = bytes(entry.data)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "file_refused", 0, _("The file is not UTF-8."), _("Re-encode it.")
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        return "file_refused", line, _("The file holds characters that cannot be shown."), _("Remove them.")
    if line := line_of_secret(content):
        return "secret_in_text", line, *_secret_words()
    return content


def is_intent(path: str) -> bool:
    """Tell whether this is where an Application says what is asked for."""
    found = INTENT.fullmatch(path)
    return found is not None and found.group(1) not in RESERVED_APPLICATIONS


def _entries(tree: pygit2.Tree | None) -> dict[str, pygit2.Object]:
    if tree is None:
        return {}
    return {(each.raw_name or b"").decode("utf-8", "replace"): each for each in tree}


def _reason(commit: pygit2.Commit) -> str:
    _first, _line, body = commit.raw_message.decode("utf-8", "replace").partition("\n")
    return _CONTROL.sub("", body).strip()[:_LONGEST_REASON]


def _secret_words() -> tuple[str, str]:
    return _("This looks like a secret in plain text."), _(
        "Take it out of every commit and change it where it is valid."
    )


def _finding(rule: str, file: str, problem: str, fix: str, *, line: int = 0) -> Finding:
    return Finding(rule, "", problem, fix, line, file)
