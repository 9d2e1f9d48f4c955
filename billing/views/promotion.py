"""Bring Applications from one Environment to the next in the console: choose, give what is missing, look, apply."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from billing.views.asked_changes import preview_address, reason_of
from billing.views.carts import see_other
from billing.views.environment_door import EnvironmentVisit, of_environment
from billing.views.environments import TYPES, order_of
from billing.views.panels import load_panels
from catalyst.core.errors import DomainError
from marketplace.models import Application
from marketplace.selectors.installed import current_applications
from marketplace.services.change_previews import preview_change
from marketplace.services.edits_config import schema_of
from marketplace.services.planner_request import ChangeRequest
from tenancy.models import Environment
from tenancy.selectors.organizations import list_environments, visible_env_types

_VALUE = "value:"
_LONGEST_VALUE = 2000
_MOST = 100


@dataclass(frozen=True, slots=True)
class Side:
    """One Application of the source, and its version in the target, empty where it is not there."""

    row: Application
    here: str
    is_chosen: bool

    @property
    def is_equal(self) -> bool:
        return self.here == self.row.blueprint_version.version


@dataclass(frozen=True, slots=True)
class Missing:
    """One setting that a person has to say before the promotion can be applied."""

    name: str
    label: str
    why: str
    value: str


@require_http_methods(["GET", "HEAD", "POST"])
@of_environment("change.preview")
def promote(visit: EnvironmentVisit) -> HttpResponse:
    """Choose what comes from where; what was chosen becomes a preview, or comes back with what is missing."""
    sent = visit.request.POST if visit.request.method == "POST" else visit.request.GET
    sources = _sources(visit)
    wanted = sent.get("from", "")
    source = next((each for each in sources if each.env_type == wanted), None) if wanted else None
    if wanted and source is None:
        raise Http404
    source = source or (sources[0] if len(sources) == 1 else None)
    if visit.request.method != "POST" or source is None:
        return _show(visit, sources, source, chosen=None)
    chosen = visit.request.POST.getlist("app")[:_MOST]
    if not chosen:
        text = _("Choose at least one Application.")
        return _show(visit, sources, source, chosen=[], text=text, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _preview(visit, sources, source, chosen)


def _sources(visit: EnvironmentVisit) -> list[Environment]:
    """Return the other Environments that the reader may see and that hold something."""
    visible = visible_env_types(visit.request.user, visit.organization)
    rows = list_environments(visit.organization, env_types=visible).exclude(pk=visit.environment.pk)
    return sorted(rows.exclude(head_commit=""), key=order_of)


def _preview(
    visit: EnvironmentVisit, sources: list[Environment], source: Environment, chosen: list[str]
) -> HttpResponse:
    given = _given(visit, source)
    wanted = ChangeRequest(promote_from=source.env_type, promote=tuple(chosen), values=given)
    try:
        preview = preview_change(
            environment=visit.environment,
            request=wanted,
            actor=visit.person,
            reason=reason_of(visit.request),
            now=timezone.now(),
        )
    except DomainError as error:
        return _show(visit, sources, source, chosen=chosen, text=error.message, status=error.status)
    missing = _missing(preview.shown["problems"], given)
    if missing:
        return _show(visit, sources, source, chosen=chosen, missing=missing, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return see_other(preview_address(visit.environment, preview.pk))


def _given(visit: EnvironmentVisit, source: Environment) -> dict[str, dict[str, Any]]:
    """Return what was typed, by Application and setting, each as the type that its schema names."""
    rows = {row.slug: row for row in current_applications(source.pk)}
    given: dict[str, dict[str, Any]] = {}
    for key, text in visit.request.POST.items():
        application, _colon, setting = key.removeprefix(_VALUE).partition(":")
        if key.startswith(_VALUE) and text and application in rows and setting:
            node = schema_of(rows[application].blueprint_version).get("properties", {}).get(setting, {})
            given.setdefault(application, {})[setting] = _typed(node, str(text)[:_LONGEST_VALUE])
    return given


def _typed(node: Any, text: str) -> Any:
    if not isinstance(node, dict) or node.get("type", "string") == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # the schema says what is wrong with it


def _missing(problems: list[dict[str, Any]], given: dict[str, dict[str, Any]]) -> list[Missing]:
    found: dict[tuple[str, str], Missing] = {}
    for problem in problems:
        parts = problem["pointer"].split("/")
        if len(parts) < 4 or parts[1] != "values" or not parts[3]:
            continue
        application, setting = parts[2], parts[3].split(".")[0]
        value = given.get(application, {}).get(setting, "")
        name = f"{_VALUE}{application}:{setting}"
        found[(application, setting)] = Missing(name, f"{application}: {setting}", problem["detail"], str(value))
    return list(found.values())


def _show(
    visit: EnvironmentVisit,
    sources: list[Environment],
    source: Environment | None,
    *,
    chosen: list[str] | None,
    missing: list[Missing] | None = None,
    text: str = "",
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    panels = load_panels({"sides": lambda: _sides(visit, source, chosen) if source else []})
    return visit.show(
        "environments_promote",
        HTTPStatus.SERVICE_UNAVAILABLE if panels["broken"] else status,
        **panels,
        sources=[(each, TYPES[each.env_type]) for each in sources],
        source=source,
        target_title=TYPES[visit.environment.env_type],
        source_title=TYPES[source.env_type] if source else "",
        missing=missing or [],
        text=text,
        reason=reason_of(visit.request),
    )


def _sides(visit: EnvironmentVisit, source: Environment, chosen: list[str] | None) -> list[Side]:
    """Return what there is to bring; before a person chose, everything that differs is marked."""
    here = {row.slug: row.blueprint_version.version for row in current_applications(visit.environment.pk)}
    sides = []
    for row in current_applications(source.pk):
        version = here.get(row.slug, "")
        is_chosen = row.slug in chosen if chosen is not None else version != row.blueprint_version.version
        sides.append(Side(row, version, is_chosen))
    return sides
