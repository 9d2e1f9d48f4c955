"""A change preview in the console: what would happen, problems first, and one button that does exactly that."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from billing.views.applications import Visit, of_application
from billing.views.asked_changes import look_at_change, reason_of
from billing.views.carts import see_other
from billing.views.diffs import files_of
from billing.views.environment_door import EnvironmentVisit, of_environment
from catalyst.core.errors import DomainError, NotFound
from marketplace.forms.schema_words import SIZES
from marketplace.models import Change, ChangePreview
from marketplace.services.change_previews import BaseCommitMoved, apply_preview, get_preview
from marketplace.services.planner_request import ChangeRequest

_REFUSED = "refused"
#: What a page may ask about one Application by a button.
_ACTS = frozenset({"pause", "resume", "remove"})


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource before and after a Change; ``most`` is what the Plan gives, None where nothing limits it."""

    label: str
    unit: str
    before: int
    after: int
    most: int | None

    @property
    def is_over(self) -> bool:
        return self.most is not None and self.after > self.most


@require_http_methods(["GET", "HEAD", "POST"])
@of_environment("application.view")
def preview_page(visit: EnvironmentVisit, preview_id: str) -> HttpResponse:
    """Show a preview; applied, it becomes the Change that it shows, or comes back with what stands in the way."""
    preview = _find(visit, preview_id)
    if visit.request.method != "POST":
        return _show(visit, preview)
    if not visit.may("change.apply"):
        return visit.refuse()
    try:
        change = apply_preview(
            environment=visit.environment, preview_id=preview.pk, actor=visit.person, now=timezone.now()
        )
    except BaseCommitMoved as error:
        fresh = _find(visit, error.extra["preview"]["id"])
        return _show(visit, fresh, refusal=error, has_moved=fresh.pk != preview.pk)
    except NotFound:
        raise
    except DomainError as error:
        return _show(visit, _find(visit, preview_id), refusal=error)
    waits = change.state == Change.State.AWAITING_GATES
    messages.success(
        visit.request,
        _("It waits for what is still missing. You see here what that is.")
        if waits
        else _("It is being done. You see here how it goes."),
    )
    return see_other(visit.address("console-history-change", change.pk))


def _find(visit: EnvironmentVisit, preview_id: str) -> ChangePreview:
    try:
        return get_preview(visit.environment, preview_id)
    except NotFound:
        raise Http404 from None


def _show(
    visit: EnvironmentVisit,
    preview: ChangePreview,
    *,
    refusal: DomainError | None = None,
    has_moved: bool = False,
) -> HttpResponse:
    said = preview.shown
    state = _state_of(preview)
    is_refused = any(each["outcome"] == _REFUSED for each in said["policy"])
    waits = any(each["outcome"] not in {"passes", _REFUSED} for each in said["policy"])
    return visit.show(
        "preview",
        refusal.status if refusal else HTTPStatus.OK,
        preview=preview,
        said=said,
        state=state,
        change=Change.objects.filter(preview=preview).first(),
        rules=said["policy"],
        resources=resources_of(said["capacity"]),
        files=files_of(said["manifest_diff"]),
        settings=[_in_words(each) for each in said.get("settings_diff", ())],
        dies=bool(said["data"] or said["manifest_diff"]["volumes"]),
        takes_away=any(each["change"] == "removed" for each in said["lock_diff"]),
        refusal=refusal,
        has_moved=has_moved,
        waits=waits,
        is_open=state == "previewed",
        applies=state == "previewed" and not said["problems"] and not is_refused and visit.may("change.apply"),
        mends=_promotion_values(said, visit.may("change.preview")),
    )


def _in_words(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the settings with its size in the reader's language."""
    said = dict(line)
    if said["part"] == "size":
        said |= {side: SIZES.get(said[side], said[side]) for side in ("before", "after")}
    return said


def _state_of(preview: ChangePreview) -> str:
    """Return the key of the status vocabulary; what nobody applied in time is replaced."""
    if preview.state != ChangePreview.State.OPEN:
        return {"applied": "succeeded"}.get(preview.state, preview.state)
    return "previewed" if preview.expires_at > timezone.now() else "superseded"


def _promotion_values(said: Mapping[str, Any], may: bool) -> bool:
    return may and any(each["pointer"].startswith("/values/") for each in said["problems"])


def resources_of(capacity: Mapping[str, Any]) -> list[Resource]:
    """Return what is used before and after, resource by resource."""
    words = {
        "memory_mib": (_("Memory"), "MiB"),
        "cpu_milli": (_("Processor, in thousandths of a core"), "m"),
        "disk_gib": (_("Disk"), "GiB"),
    }
    most = capacity["plan"] or {}
    return [
        Resource(label, unit, capacity["before"][name], capacity["after"][name], most.get(name))
        for name, (label, unit) in words.items()
    ]


@require_POST
@of_application("changes_apps")
def ask(visit: Visit) -> HttpResponse:
    """Make the preview that a button of an Application's page asks for."""
    act = visit.request.POST.get("act", "")
    if act not in _ACTS:
        messages.error(visit.request, _("There is no such action. Use the buttons of this page."))
        return see_other(visit.address)
    parts: dict[str, Any] = {act: (visit.application.slug,)}
    wanted = ChangeRequest(**parts)
    reason = reason_of(visit.request)
    return look_at_change(visit.request, visit.environment, wanted, back=visit.address, reason=reason)
