"""A form drawn from the ``configSchema`` of a Blueprint, on the server, without JavaScript.

It draws, reads and shows what is wrong; whether a configuration fits is decided by ``find_problems``, as everywhere.
Source: docs/blueprints.md, "Forms".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from marketplace.forms.schema_build import build_root
from marketplace.forms.schema_controls import Control
from marketplace.forms.schema_special import GroupControl, SecretControl
from marketplace.selectors.form_surroundings import Surroundings
from marketplace.services.blueprint_contract.config_values import ValueProblem
from marketplace.services.configuration_rules import find_problems


@dataclass(frozen=True, slots=True)
class SummaryLine:
    """What is wrong with one control, by its name, and the element to which the summary leads."""

    id_for_label: str
    errors: list[str]


class SchemaForm:
    """``initial`` is the configuration of now. ``is_installed``: what is immutable is shown and stays.

    ``errors``, ``non_field_errors()`` and iteration are as of Django's forms, so the same error summary shows them.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        initial: Mapping[str, Any],
        language: str,
        around: Surroundings,
        data: QueryDict | None = None,
        prefix: str = "config",
        is_installed: bool = False,
    ) -> None:
        self.schema = schema
        self._data = data
        self.root: GroupControl = build_root(
            schema, initial, prefix=prefix, language=language, around=around, is_installed=is_installed
        )
        #: The configuration that the answers make; the one of now when nothing was sent.
        self.values: dict[str, Any] = dict(initial)
        self._problems: list[str] = []
        if data is not None:
            self.values = self.root.result(data)
            self._place(find_problems(schema, self.values, hosts=around.hosts, applications=around.applications))

    def __iter__(self) -> Iterator[SummaryLine]:
        """Yield what is wrong, in the order of the page."""
        for control in self.controls():
            if control.errors:
                yield SummaryLine(control.id_for_label, [f"{control.label}: {said}" for said in control.errors])

    def controls(self) -> Iterator[Control]:
        """Yield the controls that are in use, in the order of the page."""
        return self.root.walk()

    @property
    def errors(self) -> dict[str, list[str]]:
        said = {control.name: control.errors for control in self.controls() if control.errors}
        return {**said, "__all__": self._problems} if self._problems else said

    def non_field_errors(self) -> list[str]:
        return self._problems

    def is_valid(self) -> bool:
        return self._data is not None and not self.errors

    @property
    def secrets(self) -> dict[str, str]:
        """Return the secrets that were typed, by name: for the service that seals them."""
        typed = [control for control in self.controls() if isinstance(control, SecretControl) and control.typed]
        return {control.secret: control.typed for control in typed}

    def add_problem(self, place: str, message: str) -> None:
        """Show a refusal of the service at the control it is about; ``place`` is a path like ``mail.ref``."""
        control = self._find(tuple(place.split(".")) if place else ())
        # Of one control the first sentence is enough: mended, the next one shows.
        if control is None:
            self._problems.append(f"{place}: {message}" if place else message)
        elif not control.errors:
            control.errors.append(message)

    def _place(self, problems: list[ValueProblem]) -> None:
        for problem in problems:
            self.add_problem(problem.place, problem.message)

    def _find(self, path: tuple[str, ...]) -> Control | None:
        """Return the control of a path, or the nearest one above it."""
        controls = {control.path: control for control in self.controls() if control.path}
        return next((controls[path[:end]] for end in range(len(path), 0, -1) if path[:end] in controls), None)


class JoinedForms:
    """Several forms of one page, for one summary of what is wrong in them."""

    def __init__(self, *forms: Any) -> None:
        self._forms = forms

    def __iter__(self) -> Iterator[Any]:
        for form in self._forms:
            yield from form

    @property
    def errors(self) -> dict[str, Any]:
        return {name: said for form in self._forms for name, said in form.errors.items()}

    def non_field_errors(self) -> list[str]:
        return [said for form in self._forms for said in form.non_field_errors()]
