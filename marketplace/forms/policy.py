"""The rules of an Environment as a form in plain words; what it cannot say in words it shows as five cron fields."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django import forms
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from catalyst.core.errors import DomainError
from marketplace.services.policy_rules import APPROVALS, APPROVER_ROLES, MOST_APPROVALS, SOAK, WINDOW
from tenancy.models import Membership

_UNITS: Final = (("m", _("minutes")), ("h", _("hours")), ("d", _("days")))
#: Sunday first, as cron counts; Python's table begins with Monday.
_DAYS: Final = [(str(day), WEEKDAYS[(day - 1) % 7]) for day in range(7)]
_PLAIN_CRON = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* ([0-6](?:,[0-6])*|\*)")
_NUMBER = {"inputmode": "numeric", "dir": "ltr", "autocomplete": "off"}
_PLAIN = {"dir": "ltr", "autocomplete": "off", "spellcheck": "false"}
#: Where the fields of a rule stand in the form.
_PLACES: Final = {
    APPROVALS: {"approvers": "approvers", "minApprovals": "approval_count"},
    SOAK: {"sourceEnvironment": "soak_source", "duration": "soak_number"},
    WINDOW: {"cron": "window_cron", "duration": "window_number", "timeZone": "window_zone"},
}

#: What a rule that is turned on cannot do without.
_ASKED: Final = (
    *("approval_count", "soak_source", "soak_number", "soak_unit"),
    *("window_time", "window_number", "window_unit", "window_zone"),
)


def _amount(label: Any) -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=6, widget=forms.TextInput(attrs=_NUMBER))


def _unit() -> forms.ChoiceField:
    return forms.ChoiceField(label=_("Unit"), required=False, choices=_UNITS)


class PolicyForm(forms.Form):
    """One part for each kind of rule, each with a box that turns it on. The rules are judged by the service."""

    use_required_attribute = False

    has_approvals = forms.BooleanField(label=_("Somebody else has to approve a change."), required=False)
    approvers = forms.MultipleChoiceField(
        label=_("Who may approve"), required=False, widget=forms.CheckboxSelectMultiple
    )
    approval_count = forms.ChoiceField(label=_("How many people"), required=False)
    has_soak = forms.BooleanField(label=_("What comes has to run in another Environment first."), required=False)
    soak_source = forms.ChoiceField(label=_("Where it has to run"), required=False)
    soak_number = _amount(_("How long, without a break"))
    soak_unit = _unit()
    has_window = forms.BooleanField(label=_("Changes are made at certain times only."), required=False)
    window_days = forms.MultipleChoiceField(
        label=_("On which days"), required=False, choices=_DAYS, widget=forms.CheckboxSelectMultiple
    )
    window_time = forms.TimeField(
        label=_("From what time on"),
        required=False,
        input_formats=["%H:%M"],
        widget=forms.TimeInput(format="%H:%M", attrs={"dir": "ltr", "type": "time"}),
        error_messages={"invalid": _("Enter a time like 14:00.")},
    )
    window_number = _amount(_("For how long"))
    window_unit = _unit()
    window_zone = forms.CharField(
        label=_("Time zone"), required=False, max_length=60, widget=forms.TextInput(attrs=_PLAIN)
    )
    window_cron = forms.CharField(
        label=_("Or as five cron fields"), required=False, max_length=100, widget=forms.TextInput(attrs=_PLAIN)
    )
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, sources: list[str], rules: Any = (), version: int = 0) -> None:
        super().__init__(data, initial={**_initial(rules), "version": version})
        names = dict(Membership.Role.choices)
        roles = [role for role in names if role in APPROVER_ROLES]
        self._choose("approvers", [(role, names[role]) for role in roles])
        self._choose("approval_count", [(str(each), str(each)) for each in range(1, MOST_APPROVALS + 1)])
        self._choose("soak_source", [(name, name) for name in sources])
        self._kinds: list[str] = []
        if data is None:
            self._show_as_asked()

    def full_clean(self) -> None:
        super().full_clean()
        self._show_as_asked()

    def _show_as_asked(self) -> None:
        """Show no "(optional)" at what a rule needs: the service says what is missing, in its own words."""
        for name in _ASKED:
            self.fields[name].required = True

    def _choose(self, name: str, choices: list[tuple[str, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def rules(self) -> list[dict[str, Any]]:
        """Return what was chosen in the form of the API, right or wrong."""
        said = self.cleaned_data
        chosen = []
        if said["has_approvals"]:
            count = int(said["approval_count"] or 0)
            chosen.append({"kind": APPROVALS, "approvers": said["approvers"], "minApprovals": count})
        if said["has_soak"]:
            duration = said["soak_number"] + said["soak_unit"]
            chosen.append({"kind": SOAK, "sourceEnvironment": said["soak_source"], "duration": duration})
        if said["has_window"]:
            duration = said["window_number"] + said["window_unit"]
            chosen.append({"kind": WINDOW, "cron": _cron(said), "duration": duration, "timeZone": said["window_zone"]})
        self._kinds = [rule["kind"] for rule in chosen]
        return chosen

    def add_refusal(self, error: DomainError) -> None:
        """Put a refusal of the service beside its field, or on top."""
        _rules, _slash, place = error.pointer.removeprefix("/").partition("/")
        index, _slash, name = place.partition("/")
        kind = self._kinds[int(index)] if index.isdigit() and int(index) < len(self._kinds) else ""
        field = _PLACES.get(kind, {}).get(name)
        if field == "window_cron" and not self.cleaned_data.get("window_cron"):
            field = "window_time"
        self.add_error(field, error.message)


def _cron(said: Mapping[str, Any]) -> str:
    if said["window_cron"] or said["window_time"] is None:
        return str(said["window_cron"])
    days = said["window_days"]
    weekdays = "*" if len(days) == len(_DAYS) else ",".join(sorted(days))
    return f"{said['window_time'].minute} {said['window_time'].hour} * * {weekdays}" if days else ""


def _initial(rules: Any) -> dict[str, Any]:
    """Return what the form shows first; what cannot be read is left empty."""
    shown: dict[str, Any] = {"window_zone": "Asia/Muscat", "approval_count": "1", "soak_unit": "h", "window_unit": "h"}
    for rule in rules if isinstance(rules, list) else []:
        if isinstance(rule, dict):
            shown |= dict(_initial_of(rule))
    return shown


def _initial_of(rule: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    kind = rule.get("kind")
    if kind == APPROVALS:
        yield "has_approvals", True
        yield "approvers", rule.get("approvers")
        yield "approval_count", str(rule.get("minApprovals"))
    elif kind == SOAK:
        yield "has_soak", True
        yield "soak_source", rule.get("sourceEnvironment")
        yield from _initial_duration("soak", rule)
    elif kind == WINDOW:
        yield "has_window", True
        yield "window_zone", rule.get("timeZone")
        yield from _initial_duration("window", rule)
        yield from _initial_cron(str(rule.get("cron")))


def _initial_duration(name: str, rule: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    duration = str(rule.get("duration", ""))
    yield f"{name}_number", duration[:-1]
    yield f"{name}_unit", duration[-1:]


def _initial_cron(cron: str) -> Iterator[tuple[str, Any]]:
    found = _PLAIN_CRON.fullmatch(cron)
    if found is None:
        yield "window_cron", cron
        return
    yield "window_time", f"{int(found[2]):02}:{int(found[1]):02}"
    yield "window_days", [day for day, _name in _DAYS] if found[3] == "*" else found[3].split(",")
