"""Everything that one reader can buy at one moment, read by one statement.

Checkout passes here, and most of its cost would be the ORM's building of four queries; hence plain SQL. Who may see a
Blueprint is said here a second time (the first is ``BlueprintQuerySet.visible_to``): both are tested with strangers.

Source: blueprints.md §1 (shadowing) and catalog.md §1 of the design.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from catalyst.core.database import fetch_one
from marketplace.models import Availability
from marketplace.selectors.blueprint_index import Listing, listings_of
from marketplace.selectors.capacity import Footprint
from marketplace.selectors.dependencies import Lock
from tenancy.models import Organization

#: So many price lists stay parsed in a process: one for everybody, one per Organization with Blueprints of its own.
_KEPT = 16

# A sale needs the list, but seldom a new one: building it was most of what Postgres did for a checkout. So the
# statement says first which row versions it stands on (none is written twice: ``xmin`` is the transaction, ``ctid`` the
# place), on its own snapshot, and builds the list only for a stamp that this process has not parsed yet. A price that
# becomes valid, another process, a rollback: each is another set of row versions, so nothing kept can be stale.
# They are put in order, because another plan of the same statement may read them in another one.
_STAMP = """
  SELECT encode(sha256(convert_to(concat_ws('|', pg_postmaster_start_time(),
    (SELECT concat(xmin, ctid) FROM core_currency WHERE code = %(currency)s), 'plan',
    (SELECT string_agg(concat(xmin, ctid), ' ' ORDER BY ctid) FROM marketplace_plan), 'addon',
    (SELECT string_agg(concat(xmin, ctid), ' ' ORDER BY ctid) FROM marketplace_addon), 'bundle',
    (SELECT string_agg(concat(xmin, ctid), ' ' ORDER BY ctid) FROM marketplace_bundle), 'price',
    (SELECT string_agg(concat(xmin, ctid), ' ' ORDER BY ctid) FROM marketplace_price
      WHERE currency_id = %(currency)s AND valid_from <= %(at)s), 'blueprint',
    (SELECT string_agg(concat(b.xmin, b.ctid, v.xmin, v.ctid), ' ' ORDER BY b.ctid, v.ctid)
      FROM marketplace_blueprint AS b
      LEFT JOIN marketplace_blueprintversion AS v
        ON v.blueprint_id = b.id AND v.state = 'published' AND v.yanked_at IS NULL
     WHERE (b.source <> 'org' AND b.visibility <> 'private')
        OR (b.source = 'org' AND b.organization_id = %(organization)s))
  ), 'UTF8')), 'hex') AS value
"""
_OFFER = f"""
WITH stamp AS MATERIALIZED ({_STAMP}), unknown AS MATERIALIZED (
  SELECT value <> ALL (%(known)s::text[]) AS is_new FROM stamp
), price AS MATERIALIZED (
  SELECT DISTINCT ON (kind, reference) kind, reference, amount_minor AS price_minor
    FROM marketplace_price WHERE currency_id = %(currency)s AND valid_from <= %(at)s
   ORDER BY kind, reference, valid_from DESC
), plan AS (
  SELECT slug, title_en, title_ar, state, vcpu_milli, memory_mib, disk_gib, price_minor
    FROM marketplace_plan LEFT JOIN price ON kind = 'plan' AND price.reference = slug
   WHERE retired_at IS NULL ORDER BY position
), addon AS (
  SELECT slug, title_en, title_ar, included_from, price_minor
    FROM marketplace_addon LEFT JOIN price ON kind = 'addon' AND price.reference = slug
   WHERE retired_at IS NULL AND state = 'now' ORDER BY position
), bundle AS (
  SELECT slug, title_en, title_ar, state, members, discount_percent FROM marketplace_bundle WHERE retired_at IS NULL
), blueprint AS (
  SELECT b.name, b.slug, b.title, b.kind, b.source, b.visibility, b.state, b.retired_at IS NOT NULL AS is_retired,
         CASE WHEN b.source = 'org' THEN 0 ELSE price_minor END AS price_minor,
         v.version, v.digest, v.contract #> '{{spec,upgrades,blocks}}' AS blocks,
         v.contract #> '{{spec,deprecated}}' IS NOT NULL AS is_deprecated,
         v.contract #> '{{spec,upgrades,from}}' AS accepts,
         v.contract #> '{{spec,depends}}' AS depends,
         v.contract #> '{{spec,exposes,sharing}}' AS sharing, v.contract #> '{{spec,footprint}}' AS footprint,
         v.contract #> '{{spec,configSchema}}' AS settings,
         CASE WHEN jsonb_path_exists(v.contract, '$.spec.depends[*].when')
              THEN v.contract #> '{{spec,configSchema}}' END AS config_schema
    FROM marketplace_blueprint AS b
    LEFT JOIN marketplace_blueprintversion AS v
      ON v.blueprint_id = b.id AND v.state = 'published' AND v.yanked_at IS NULL
    LEFT JOIN price ON price.kind = 'blueprint' AND price.reference = b.name
   WHERE (b.source <> 'org' AND b.visibility <> 'private')
      OR (b.source = 'org' AND b.organization_id = %(organization)s)
)
SELECT value,
       CASE WHEN is_new THEN (SELECT psp_step FROM core_currency WHERE code = %(currency)s) END,
       CASE WHEN is_new THEN (SELECT json_agg(plan) FROM plan)::text END,
       CASE WHEN is_new THEN (SELECT json_agg(addon) FROM addon)::text END,
       CASE WHEN is_new THEN (SELECT json_agg(bundle) FROM bundle)::text END,
       CASE WHEN is_new THEN (SELECT json_agg(blueprint) FROM blueprint)::text END
  FROM stamp, unknown
"""  # noqa: S608  (a statement of our own)


@dataclass(frozen=True, slots=True)
class PlanRow:
    slug: str
    title_en: str
    title_ar: str
    state: str
    vcpu_milli: int
    memory_mib: int
    disk_gib: int
    price_minor: int | None

    def is_sold(self) -> bool:
        return self.state == Availability.NOW and self.price_minor is not None

    def capacity(self) -> Footprint:
        """Return what it gives one Environment."""
        return Footprint(self.memory_mib, self.vcpu_milli, self.disk_gib)


@dataclass(frozen=True, slots=True)
class AddOnRow:
    slug: str
    title_en: str
    title_ar: str
    included_from: str
    price_minor: int | None


@dataclass(frozen=True, slots=True)
class BundleRow:
    slug: str
    title_en: str
    title_ar: str
    state: str
    members: list[str]
    discount_percent: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Plans and Add-ons in display order; ``for_sale`` holds the names of Blueprints that can be bought now.

    ``locks`` remembers what was resolved for a selection with its configuration, as JSON: an Offer never changes, so
    neither does the answer.
    """

    price_step: int
    plans: tuple[PlanRow, ...]
    addons: tuple[AddOnRow, ...]
    bundles: tuple[BundleRow, ...]
    listings: Mapping[str, Listing]
    for_sale: frozenset[str]
    locks: dict[tuple[tuple[str, ...], str], Lock] = field(default_factory=dict, compare=False, repr=False)


def load_offer(organization: Organization | None, *, currency: str, at: datetime) -> Offer:
    """Read what this reader can buy; prices are monthly, VAT included, in minor units of ``currency``."""
    owner = organization.pk if organization else None
    # A copy, because other threads read too: what is known when Postgres is asked is still at hand when it answers.
    known = _parsed.copy()
    parameters = {"currency": currency, "at": at, "organization": owner}
    if known:
        # Most of the time this is all: Postgres prepares to run the whole statement even where it builds nothing.
        seen = fetch_one(_STAMP, parameters, prepared=True)
        if seen is not None and seen[0] in known:
            return known[seen[0]]
    row = fetch_one(_OFFER, {**parameters, "known": list(known)}, prepared=True)
    assert row is not None
    stamp, *texts = row
    if stamp in known:
        return known[stamp]
    if len(known) >= _KEPT:
        # The oldest; another thread may have done so already.
        _parsed.pop(next(iter(known)), None)
    offer = _parsed[stamp] = _read(*texts)
    return offer


_parsed: dict[str, Offer] = {}


def _read(
    step: int | None, plans: str | None, addons: str | None, bundles: str | None, blueprints: str | None
) -> Offer:
    listings = listings_of(_rows(blueprints))
    return Offer(
        price_step=step or 1,
        plans=tuple(PlanRow(**row) for row in _rows(plans)),
        addons=tuple(AddOnRow(**row) for row in _rows(addons)),
        bundles=tuple(BundleRow(**row) for row in _rows(bundles)),
        listings=MappingProxyType(listings),
        for_sale=frozenset(name for name, each in listings.items() if each.is_for_sale),
    )


def _rows(text: str | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(text) if text else []
    return rows
