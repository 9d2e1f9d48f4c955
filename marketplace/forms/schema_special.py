"""Controls that need more than a schema: groups with branches, secrets, hosts, and YAML for what cannot be drawn."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from catalyst.core.gitops import yaml
from marketplace.forms.schema_controls import Control, ValueControl, is_same
from marketplace.forms.schema_words import UNSET, Choice
from marketplace.selectors.form_surroundings import Surroundings
from marketplace.services.blueprint_contract.config_values import check_values


@dataclass(slots=True)
class Branch:
    """One way of a ``oneOf``: the radio button that chooses it, and what it asks."""

    choice: Choice
    controls: list[Control]


class GroupControl(Control):
    """An object: its settings, and below a ``oneOf`` the branches, all drawn, the chosen one read."""

    kind = "group"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.controls: list[Control] = []
        self.discriminator = ""
        self.branches: list[Branch] = []
        self.chosen = ""

    @property
    def hints(self) -> list[str]:
        return [self.description] if self.description else []

    @property
    def plain(self) -> list[Control]:
        return [control for control in self.controls if not control.is_advanced]

    @property
    def advanced(self) -> list[Control]:
        return [control for control in self.controls if control.is_advanced]

    @property
    def is_advanced_wrong(self) -> bool:
        """Whether something in the fold must be mended, so that it is open."""
        return any(each.errors for control in self.advanced for each in control.walk())

    @property
    def radio_name(self) -> str:
        return f"{self.name}.~"

    @property
    def has_blank(self) -> bool:
        """Whether no branch at all is a choice too."""
        return not self.is_required and self.default is UNSET

    @property
    def id_for_label(self) -> str:
        return f"id_{self.radio_name if self.branches else self.name}"

    def result(self, data: QueryDict) -> Any:
        # What is set now and nothing here asks for means nothing to this version: it is left out.
        values: dict[str, Any] = {}
        active = [*self.controls, *self._read_branch(data, values)]
        is_touched = bool(values)
        for control in active:
            value = control.result(data)
            is_touched |= value is not UNSET and not is_same(value, control.blank)
            if value is not UNSET:
                values[control.path[-1]] = value
        if self.is_required or self.was_set:
            return values
        return values if is_touched and not is_same(values, self.default) else UNSET

    def walk(self) -> Iterator[Control]:
        yield self
        for control in (*self.plain, *self.advanced):
            yield from control.walk()
        for branch in self.branches:
            for control in branch.controls if branch.choice.text == self.chosen else ():
                yield from control.walk()

    def _read_branch(self, data: QueryDict, values: dict[str, Any]) -> list[Control]:
        """Return what the chosen branch asks, and note the choice."""
        if not self.branches:
            return []
        self.chosen = data.get(self.radio_name, "")
        for branch in self.branches:
            if branch.choice.text == self.chosen:
                values[self.discriminator] = branch.choice.value
                return branch.controls
        if self.chosen:
            values[self.discriminator] = self.chosen
        return []


class SecretControl(ValueControl):
    """A secret: typed once, never shown again. The configuration holds its name."""

    kind = "secret"

    def __init__(self, *args: Any, around: Surroundings, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_store = around.has_secret_store
        self.secret = ".".join(self.path)
        self.set_at = around.secrets.get(self.secret)
        self.is_waiting = self.secret in around.waiting_secrets
        #: What was typed; for the service that seals it, and for nothing else.
        self.typed = ""

    @property
    def is_kept(self) -> bool:
        """Whether it was typed before and waits for the order."""
        return isinstance(self.current, Mapping) and "key" in self.current

    def read(self, data: QueryDict) -> Any:
        typed = data.get(self.name, "")
        if self.is_required and not self.has_store and self.current is UNSET:
            self.errors.append(_("This needs a secret, and secrets cannot be set here yet. Choose another app."))
        elif typed and not self.has_store:
            self.errors.append(_("This cannot be set here yet. Leave it empty."))
        elif typed:
            self._judge(typed)
            self.typed = typed
            return {"secret": self.secret}
        return self.current

    def _judge(self, typed: str) -> None:
        node = {key: value for key, value in self.node.items() if key != "x-catalyst-ui-hint"}
        problems = check_values({"type": "object", "properties": {"secret": node}}, {"secret": typed})
        self.errors += [problem.message for problem in problems]


class HostControl(ValueControl):
    """The host under which people open it: the platform's own, or one that is proven to belong to the Organization."""

    kind = "host"

    def __init__(self, *args: Any, around: Surroundings, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.default_host = around.default_host
        self.hosts = around.hosts
        self.choices = [Choice(host, host, host) for host in around.offered_hosts or around.hosts]

    @property
    def chosen(self) -> str:
        return "" if self.current is UNSET else str(self.current)

    def read(self, data: QueryDict) -> Any:
        text = data.get(self.name, "").strip()
        if text and text not in self.hosts:
            self.errors.append(_("Choose a host that is proven to be yours."))
        self.current = text or UNSET
        return self.current


class YamlControl(ValueControl):
    """What the form cannot draw: YAML for this node alone."""

    kind = "yaml"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._typed: str | None = None

    @property
    def shown(self) -> str:
        if self._typed is not None:
            return self._typed
        # JSON is YAML too, and the canonical dumper writes no fractions.
        return "" if self.current is UNSET else json.dumps(self.current, ensure_ascii=False, indent=2)

    def read(self, data: QueryDict) -> Any:
        self._typed = data.get(self.name, "")
        if not self._typed.strip():
            return UNSET
        try:
            return yaml.load(self._typed)
        except yaml.YamlRefused as error:
            self.errors.append(_("This is no YAML that can be read: %(problem)s") % {"problem": error.message})
            return self.current
