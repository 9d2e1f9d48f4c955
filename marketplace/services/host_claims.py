"""What a Change gives to hosts, judged once more under lock when the Change is written down.

The row of the proven domain is the lock: two Changes that want one host follow each other, and so does the removal of
the domain. Source: docs/domains.md.
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from marketplace.models import Application, ApplicationEdit
from marketplace.selectors.own_hosts import OwnHosts, hosts_in
from tenancy.models import Domain, Environment


class HostUnavailable(DomainError):
    """A host is not, or not any more, this Organization's to give to this Application."""

    code = "host_unavailable"
    status = HTTPStatus.CONFLICT


def find_host_problems(
    environment: Environment, edits: Iterable[ApplicationEdit], added: Iterable[Application]
) -> Iterator[tuple[str, str]]:
    """Yield the Application's name and what is wrong, for each host that a Change gives and cannot give."""
    given: set[str] = set()
    for slug, hosts, new in _new_hosts(environment, edits, added):
        for host in sorted(new):
            if host in given:
                text = _("%(host)s is the address of another Application. Choose another one.")
                yield slug, text % {"host": host[:80]}
            elif text := hosts.why_not(host):
                yield slug, text
            given.add(host)


def claim_hosts(environment: Environment, edits: Iterable[ApplicationEdit], added: Iterable[Application]) -> None:
    """Check that the hosts of a Change can be given, until the transaction ends; a step, before its rows are saved.

    :raises HostUnavailable: one is not proven any more, or another Application has it.
    """
    edits, added = list(edits), list(added)
    wanted = {
        name
        for _slug, hosts, new in _new_hosts(environment, edits, added)
        for host in new
        if (name := hosts.covering(host))
    }
    if wanted:
        rows = Domain.objects.verified().filter(organization=environment.organization_id, name__in=wanted)
        # Evaluated for its locks; in one order, so that two never wait for each other.
        list(rows.order_by("pk").select_for_update(of=("self",), no_key=True))
    for slug, text in find_host_problems(environment, edits, added):
        raise HostUnavailable(f"{slug}: {text}", pointer=f"/{slug}")


def _new_hosts(
    environment: Environment, edits: Iterable[ApplicationEdit], added: Iterable[Application]
) -> Iterator[tuple[str, OwnHosts, frozenset[str]]]:
    """Yield for each Application that gets hosts it has not: its name, what it may have, and which they are."""
    for edit in edits:
        if edit.removes:
            continue
        hosts = OwnHosts(environment.organization_id, edit.application)
        if new := hosts_in(edit.blueprint_version, edit.config) - hosts.kept:
            yield edit.application.slug, hosts, new
    for row in added:
        if new := hosts_in(row.blueprint_version, row.config):
            yield row.slug, OwnHosts(environment.organization_id), new
