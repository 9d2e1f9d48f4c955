"""What an upgrade would do, for a person to look at before it is done.

Source: docs/delivery.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from marketplace.models import Application
from marketplace.selectors.capacity import Footprint, capacity_of, footprint_of, used_by
from marketplace.selectors.why import requesters_of
from marketplace.services.edits import check_open
from marketplace.services.upgrades import UpgradeRequest, preview_upgrade
from tenancy.models import Environment


@dataclass(frozen=True, slots=True)
class PreviewedMove:
    """One Application that moves, or comes along (``before`` empty), and why in a sentence."""

    application: str
    blueprint: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Preview:
    """``capacity`` is None where no Plan limits the Environment."""

    summary: str
    moves: tuple[PreviewedMove, ...]
    used_before: Footprint
    used_after: Footprint
    capacity: Footprint | None

    @property
    def fits(self) -> bool:
        """Tell whether the Plan holds it, or it takes no more than before."""
        is_no_more = self.used_after.fits(self.used_before)
        return self.capacity is None or is_no_more or self.used_after.fits(self.capacity)


def preview(environment: Environment, applications: Mapping[str, str], mode: str, *, now: datetime) -> Preview:
    """Return what an upgrade would do today; arguments and refusals as in ``plan_upgrade``, capacity is no refusal."""
    rows = check_open(environment)
    plan = preview_upgrade(environment, rows, UpgradeRequest(applications, mode), now=now)
    before = {row.slug: row.blueprint_version.version for row in rows}
    changed = [edit.application.slug for edit in plan.edits] + [row.slug for row in plan.added]
    changed.sort(key=lambda slug: (slug not in applications, slug))
    after = {row.slug: row for row in plan.rows}
    moves = [_move(after[slug], before.get(slug, ""), plan.rows, asked=set(applications)) for slug in changed]
    return Preview(
        summary=plan.summary,
        moves=tuple(moves),
        used_before=used_by(map(footprint_of, rows)),
        used_after=used_by(map(footprint_of, plan.rows)),
        capacity=capacity_of(environment),
    )


def _move(row: Application, before: str, rows: list[Application], *, asked: set[str]) -> PreviewedMove:
    version = row.blueprint_version
    needing = ", ".join(f"{each.application} {each.version} ({each.range})" for each in requesters_of(row, rows))
    if not asked or row.slug in asked:
        reason = _("It was asked for.")
    elif needing:
        reason = _("Needed by %(who)s.") % {"who": needing}
    else:
        reason = _("It moves with the others.")
    return PreviewedMove(row.slug, version.blueprint.name, before, version.version, reason)
