"""From pushed files to one request: the difference between what ``main`` asks for and what a person wrote.

The same request as a form or the API would send, judged by the same planner. Source: gitops.md §12 of the design.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.gitops import yaml
from marketplace.manifests.reading import Stated, StatedIntent, read_intent
from marketplace.selectors.version_ranges import parse_range
from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_contract.config_values import check_values
from marketplace.services.blueprint_lint.secrets_in_text import is_random
from marketplace.services.blueprint_lint.subject import line_of, texts_in
from marketplace.services.change_push_files import CODE_OWNERS, INTENT, README, refused
from marketplace.services.planner_request import ChangeRequest, Configure, Install

_LONGEST_NAME: Final = 60
_PLACEMENT: Final[Mapping[str, Any]] = {"mode": "single-region", "regions": []}
#: Where each part of a request stands in ``application.yaml``.
_FIELDS: Final = {"configure": "spec.config", "install": "spec.config", "upgrade": "spec.constraint"}
_STATES: Final = {"pause", "resume"}


@dataclass(slots=True)
class PushedRequest:
    """What was asked, and the files it was read from, so that a problem can be shown where it stands."""

    files: Mapping[str, bytes | None]
    install: list[Install] = field(default_factory=list)
    configure: list[Configure] = field(default_factory=list)
    upgrade: dict[str, str] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    pause: list[str] = field(default_factory=list)
    resume: list[str] = field(default_factory=list)

    def as_request(self, commit: str) -> ChangeRequest:
        return ChangeRequest(
            install=tuple(self.install),
            configure=tuple(self.configure),
            upgrade=self.upgrade,
            remove=tuple(self.remove),
            pause=tuple(self.pause),
            resume=tuple(self.resume),
            readme=self._text(README),
            code_owners=self._text(CODE_OWNERS),
            pushed=commit,
        )

    def finding(self, code: str, pointer: str, text: str) -> Finding:
        """Return a problem of the planner at the place in the files that it speaks of."""
        part, _slash, rest = pointer.strip("/").partition("/")
        name, _slash, place = rest.partition("/")
        if name.isdigit():
            name = self._name_at(part, int(name))
        path = f"apps/{name}/application.yaml"
        if path not in self.files:
            return Finding(code, "", text, "", 0, self._only_file())
        where = "spec.state" if part in _STATES else _FIELDS.get(part, "")
        where = ".".join(each for each in (where, place.replace("/", ".")) if each)
        return Finding(code, where, text, "", _line(self.files[path], where), path)

    def _text(self, path: str) -> str | None:
        """Return a text for people; one that was deleted becomes the platform's own again."""
        return (self.files[path] or b"").decode() if path in self.files else None

    def _name_at(self, part: str, position: int) -> str:
        names = {"install": [each.name for each in self.install], "remove": self.remove}
        names |= {
            "pause": self.pause,
            "resume": self.resume,
            "configure": [each.application for each in self.configure],
        }
        listed = names.get(part, [])
        return listed[position] if position < len(listed) else ""

    def _only_file(self) -> str:
        return next(iter(self.files)) if len(self.files) == 1 else "apps"


def build_request(changed: Mapping[str, bytes | None], stated: Mapping[str, Stated]) -> PushedRequest:
    """Return what the changed files ask for; ``stated`` are the Applications as ``main`` has them.

    :raises ChangePushRefused: a file cannot be read, or asks for what cannot be done this way; with every finding.
    """
    asked = PushedRequest(changed)
    findings: list[Finding] = []
    for path, content in changed.items():
        if (found := INTENT.fullmatch(path)) is None:
            continue
        name = found.group(1)
        if content is None:
            if name in stated:
                asked.remove.append(name)
        elif problems := list(_Intent(path, name, content, stated.get(name)).judge(asked)):
            findings += problems
    if findings:
        raise refused(findings)
    return asked


class _Intent:
    """One ``application.yaml`` that differs from ``main``, where it is ``before`` (None: not there)."""

    def __init__(self, path: str, name: str, content: bytes, before: Stated | None) -> None:
        self.path, self.name, self.content, self.before = path, name, content, before

    def judge(self, asked: PushedRequest) -> Iterator[Finding]:
        """Yield what is wrong with the file, and add what it asks for when nothing is."""
        try:
            intent = read_intent(self.name, self.content)
        except yaml.YamlRefused as error:
            yield Finding(error.code, "", error.message, "", error.line, self.path)
            return
        except DomainError as error:
            yield self._finding(error.code, error.pointer.strip("/").replace("/", "."), error.message)
            return
        problems = [*self._unwritable(), *self._placement(), *self._lengths(intent), *self._secrets(intent)]
        problems += self._new(intent) if self.before is None else self._edited(intent, self.before)
        yield from problems
        if not problems and self.before is None:
            asked.install.append(_install(intent))
        elif not problems and self.before is not None:
            _compare(intent, self.before.intent, asked)

    def _unwritable(self) -> Iterator[Finding]:
        # Without a schema only what can neither be stored nor written is judged.
        for problem in check_values({}, yaml.load(self.content)):
            yield self._finding("configuration", problem.place, problem.message)

    def _placement(self) -> Iterator[Finding]:
        placement = yaml.load(self.content)["spec"].get("placement", _PLACEMENT)
        if placement != _PLACEMENT:
            text = _("The platform chooses where this runs. Leave placement out, or as it is in main.")
            yield self._finding("placement_refused", "spec.placement", text)

    def _lengths(self, intent: StatedIntent) -> Iterator[Finding]:
        names = {"spec.blueprint": intent.blueprint}
        names |= {f"spec.bindings.{alias}": bound for alias, bound in intent.bindings.items()}
        for place, text in names.items():
            if len(text) > _LONGEST_NAME:
                words = _("A name has at most %(most)d characters.") % {"most": _LONGEST_NAME}
                yield self._finding("intent_refused", place, words)
        try:
            parse_range(intent.constraint)
        except DomainError as error:
            yield self._finding(error.code, "spec.constraint", error.message)

    def _secrets(self, intent: StatedIntent) -> Iterator[Finding]:
        known = dict(texts_in(self.before.intent.config)) if self.before else {}
        for place, text in texts_in(intent.config):
            if known.get(place) != text and is_random(text):
                words = _("This looks like a secret in plain text. Store it under Secrets, and name it here.")
                yield self._finding("secret_in_text", f"spec.config.{place}", words)

    def _new(self, intent: StatedIntent) -> Iterator[Finding]:
        if intent.state == "paused":
            text = _("A new Application begins active. Pause it in another change.")
            yield self._finding("intent_refused", "spec.state", text)

    def _edited(self, intent: StatedIntent, before: Stated) -> Iterator[Finding]:
        if intent.blueprint != before.intent.blueprint:
            text = _("An Application keeps its Blueprint (%(blueprint)s). Remove it and install another one.")
            yield self._finding("intent_refused", "spec.blueprint", text % {"blueprint": before.intent.blueprint})
        bound = {**before.bindings, **before.intent.bindings}
        for alias, target in intent.bindings.items():
            if bound.get(alias) != target:
                text = _("What an Application is bound to is chosen when it is installed. Leave bindings as in main.")
                yield self._finding("intent_refused", f"spec.bindings.{alias}", text)

    def _finding(self, rule: str, place: str, text: str) -> Finding:
        return Finding(rule, place, text, "", _line(self.content, place), self.path)


def _install(intent: StatedIntent) -> Install:
    return Install(
        blueprint=intent.blueprint,
        version=intent.constraint,
        name=intent.application,
        config=intent.config,
        size=intent.size or "small",
        bindings=intent.bindings,
    )


def _compare(intent: StatedIntent, before: StatedIntent, asked: PushedRequest) -> None:
    """Add what differs; what was left out of the file stays as it is, but settings are given whole."""
    name = intent.application
    if intent.constraint != before.constraint:
        asked.upgrade[name] = intent.constraint
    config = intent.config if intent.config != before.config else None
    size = intent.size if intent.size and intent.size != before.size else ""
    if config is not None or size:
        asked.configure.append(Configure(application=name, config=config, size=size))
    if intent.state and intent.state != before.state:
        (asked.pause if intent.state == "paused" else asked.resume).append(name)


def _line(content: bytes | None, place: str) -> int:
    """Return the line of a value, or of what is nearest around it; 0 where the file says nothing."""
    if content is None:
        return 0
    return line_of(yaml.find_lines(content)[0], place)
