"""Which hosts an Organization may give to an Application, and which Application has which.

A host is the Organization's when the nearest name at or above it that anybody has proven is its own, and one host is
one Application's in the whole Sovereign. Source: docs/domains.md.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from catalyst.core.database import fetch_all
from marketplace.models import Application, ApplicationEdit, BlueprintVersion, Change
from tenancy.models import Domain
from tenancy.selectors.domains import foreign_names, names_above, register_use, verified_names

#: A text that says a host may stand anywhere, so these are only who might have it.
_MAY_USE = """
SELECT wanted.host, a.id FROM unnest(%(hosts)s::text[]) AS wanted (host), marketplace_application AS a
  LEFT JOIN marketplace_change AS removal ON removal.id = a.removed_by_id
 WHERE (a.removed_by_id IS NULL OR removal.commit = '')
   AND (jsonb_path_exists(a.config, '$.** ? (@ == $host)', jsonb_build_object('host', wanted.host))
        OR EXISTS (SELECT FROM marketplace_applicationedit AS e
                     JOIN marketplace_change AS c ON c.id = e.change_id
                    WHERE e.application_id = a.id AND c.commit = '' AND c.state IN ('committing', 'awaiting_gates')
                      AND jsonb_path_exists(e.config, '$.** ? (@ == $host)',
                                            jsonb_build_object('host', wanted.host))))
"""
_WAITING = (Change.State.COMMITTING, Change.State.AWAITING_GATES)
_GIVEN_UP = (Change.State.FAILED, Change.State.CANCELLED, Change.State.SUPERSEDED)


class OwnHosts(Collection[str]):
    """The hosts that one Application, or a new one, may have; it asks the database when the first one is judged.

    What the Application has already may stay when its proof is lost, unless somebody else has proven it since.
    """

    def __init__(self, organization_id: int, application: Application | None = None) -> None:
        self.organization_id, self.application = organization_id, application

    def __contains__(self, host: object) -> bool:
        return isinstance(host, str) and not self.why_not(host)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names that the Organization has proven; everything below them is its own too."""
        return verified_names(self.organization_id)

    @cached_property
    def kept(self) -> frozenset[str]:
        """What the Application has already."""
        row = self.application
        return hosts_in(row.blueprint_version, row.config) if row else frozenset()

    @cached_property
    def foreign(self) -> frozenset[str]:
        """The names at, above or below these that somebody else has proven."""
        return foreign_names(
            self.organization_id, below=self.names, also=[up for host in self.kept for up in names_above(host)]
        )

    def covering(self, host: str) -> str:
        """Return the nearest proven name at or above a host, when it is the Organization's."""
        above = names_above(host)
        nearest = next((name for name in above if name in self.names or name in self.foreign), "")
        return "" if nearest in self.foreign else nearest

    def offered(self, slug: str) -> tuple[str, ...]:
        """Return what is set, and of each name what people usually want: itself, and the Application's own below it."""
        usual = [host for name in self.names for host in (name, f"{slug}.{name}") if self.covering(host)]
        taken = users_of(*usual)
        return (*sorted(self.kept), *(host for host in usual if host not in taken and host not in self.kept))

    def why_not(self, host: str) -> str:
        """Return why a host may not stand there; empty when it may."""
        is_kept = host in self.kept and not self.foreign.intersection(names_above(host))
        if not is_kept and not self.covering(host):
            return _("Leave this empty: %(host)s is not proven to be yours.") % {"host": host[:80]}
        if users_of(host).get(host, set()) - {self.application.pk if self.application else None}:
            return _("%(host)s is the address of another Application. Choose another one.") % {"host": host[:80]}
        return ""


def is_host(node: Mapping[str, Any]) -> bool:
    """Tell whether a node of a schema is the address of an Application, which the platform gives where nobody does."""
    return node.get("x-catalyst-ui-hint") == "domain-picker"


def hosts_in(version: BlueprintVersion, config: Mapping[str, Any]) -> frozenset[str]:
    """Return the hosts that a configuration names."""
    return find_hosts(version.contract.get("spec", {}).get("configSchema") or {}, config)


def find_hosts(schema: Mapping[str, Any], config: Mapping[str, Any]) -> frozenset[str]:
    """Return what stands where a schema asks for a host."""
    return frozenset(_hosts(schema, config))


def users_of(*hosts: str) -> dict[str, set[int]]:
    """Return for each host that is in use the keys of the Applications that have it.

    One that gets it when a Change that waits is saved has it already.
    """
    pairs = fetch_all(_MAY_USE, {"hosts": list(hosts)}) if hosts else []
    found: dict[str, set[int]] = {}
    for row in _standing().filter(pk__in={pk for _host, pk in pairs}) if pairs else ():
        for host in _all_hosts(row).intersection(hosts):
            found.setdefault(host, set()).add(row.pk)
    return found


@register_use
def applications_under(domain: Domain) -> list[str]:
    """Return the Applications of its Organization that run under a domain, as ``<environment>/<application>``."""
    rows = _standing().filter(organization=domain.organization_id).select_related("environment")
    used = [row for row in rows if any(domain.name in names_above(host) for host in _all_hosts(row))]
    return [f"{row.environment.name}/{row.slug}" for row in used]


def _hosts(schema: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    for branch in (schema, *(schema.get("oneOf") or ())):
        for name, node in (branch.get("properties") or {}).items():
            value = config.get(name)
            if isinstance(value, Mapping):
                yield from _hosts(node, value)
            elif is_host(node) and isinstance(value, str) and value:
                yield value


def _standing() -> QuerySet[Application]:
    rows = Application.objects.filter(Q(removed_by=None) | Q(removed_by__commit=""))
    rows = rows.exclude(change__commit="", change__state__in=_GIVEN_UP)
    return rows.select_related("blueprint_version").defer("blueprint_version__files")


def _all_hosts(row: Application) -> frozenset[str]:
    waiting = ApplicationEdit.objects.filter(application=row, change__commit="", change__state__in=_WAITING)
    found = hosts_in(row.blueprint_version, row.config)
    for edit in waiting.select_related("blueprint_version").defer("blueprint_version__files"):
        found |= hosts_in(edit.blueprint_version, edit.config)
    return found
