"""What the Applications of an Environment tell the services they need, judged by the schemas of those.

Source: docs/blueprints.md; blueprints.md §2 and §3 of the design.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from marketplace.manifests.dependency_values import Party, dependency_values
from marketplace.manifests.facts import EnvironmentFacts, ManifestsRefused
from marketplace.models import Application
from marketplace.selectors.resolver.conditions import default_values
from marketplace.services.blueprint_contract.config_values import check_values


def told_values(environment: EnvironmentFacts, applications: Iterable[Application]) -> dict[str, dict[str, Any]]:
    """Return what each Application is told by those that need it, by its name.

    :raises ManifestsRefused: two want different values of one thing, or a value does not fit.
    """
    rows = list(applications)
    told = dependency_values(environment, map(_party, rows))
    for row in rows:
        if told[row.slug]:
            _check(row, told[row.slug])
    return told


def _party(row: Application) -> Party:
    spec = row.blueprint_version.contract.get("spec", {})
    schema = spec.get("configSchema") or {}
    return Party(
        application=row.slug,
        config=row.config,
        defaults=default_values(schema),
        properties=frozenset(schema.get("properties") or ()),
        tells=tuple(
            (row.bindings[edge["alias"]], edge["values"])
            for edge in spec.get("depends") or ()
            if edge.get("values") and edge["alias"] in row.bindings
        ),
    )


def _check(row: Application, told: Mapping[str, Any]) -> None:
    schema = row.blueprint_version.contract.get("spec", {}).get("configSchema") or {}
    for problem in check_values(schema, told):
        # That something else is missing is not the fault of those who tell.
        if problem.path.split(".")[0] in told:
            text = _("%(name)s is told a value that does not fit: %(setting)s: %(problem)s")
            words = {"name": row.slug, "setting": problem.path, "problem": problem.message}
            raise ManifestsRefused(text % words)
