"""Before a version is listed, every lock that has its Blueprint is asked; names are for those who may see them."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketplace.models import BlueprintVersion
from marketplace.selectors import impact as impact_module
from marketplace.selectors.impact import Affected, Impact, impact_of
from tenancy.models import Organization, Sovereign
from tests.factories import OrganizationFactory
from tests.marketplace.catalogue_rows import NOW
from tests.marketplace.upgrade_rows import needs, publish
from tests.marketplace.version_rows import install

pytestmark = pytest.mark.django_db


@dataclass
class Houses:
    """Three Organizations, and the Blueprint that they run."""

    acme: Organization
    globex: Organization
    initech: Organization
    sql: BlueprintVersion


@pytest.fixture
def houses(sovereign: Sovereign) -> Houses:
    acme, globex, initech = (OrganizationFactory.create(slug=name) for name in ("acme", "globex", "initech"))
    return Houses(acme, globex, initech, publish("sql", "1.2.0"))


def candidate(version: str, **more: Any) -> BlueprintVersion:
    """Return a version that waits for its publication."""
    return publish("sql", version, state="review", **more)


def counts(found: Impact) -> tuple[int, dict[str, int], dict[str, int]]:
    return found.organizations, dict(found.locks), dict(found.hindrances)


def test_nobody_runs_it(houses: Houses) -> None:
    assert counts(impact_of(candidate("1.2.1"), now=NOW)) == (0, {}, {})


def test_three_organizations_with_exact_counts(houses: Houses) -> None:
    wiki = publish("wiki", "1.0.0", depends=[needs("sql", "~1.2.0", "db")])
    publish("wiki", "1.1.0", depends=[needs("sql", "^1.2", "db")])
    shop = publish("shop", "1.0.0", depends=[needs("sql", "~1.2.0", "db")])
    # takes it as it is
    install(houses.acme, "sql", houses.sql)
    # its range does not reach there
    install(houses.acme, "sql", houses.sql, env_type="dev", asked="~1.2.0")
    # who needs it can move along
    install(houses.globex, "wiki", wiki, db="shared-sql")
    install(houses.globex, "shared-sql", houses.sql, "wiki")
    # who needs it cannot
    install(houses.initech, "shop", shop, db="shared-sql")
    install(houses.initech, "shared-sql", houses.sql, "shop")
    # runs it already
    new = candidate("1.3.0")
    install(houses.initech, "sql", new, env_type="dev")

    found = impact_of(new, now=NOW)

    assert counts(found) == (
        3,
        {"accepts": 1, "cannot": 2, "moves_others": 1, "ahead": 1},
        {"own_range": 1, "needed": 1},
    )
    assert found.total == 5
    assert found.named == ()


def test_names_are_those_of_the_own_organizations(houses: Houses) -> None:
    install(houses.acme, "books", houses.sql)
    install(houses.globex, "secret", houses.sql, asked="1.2.0")

    found = impact_of(candidate("1.2.1"), now=NOW, own=[houses.acme.pk])

    assert counts(found) == (2, {"accepts": 1, "cannot": 1}, {"own_range": 1})
    assert found.named == (Affected("acme", "acme-prod", "books", "1.2.0", "accepts", ""),)
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("version", "upgrades", "hindrance"),
    [
        ("1.4.0", {"from": ["1.3.x"]}, "recreate"),
        ("1.4.0", {"blocks": ["<1.3.0"]}, "blocked"),
        ("2.0.0", {"from": ["1.x"]}, "own_range"),
    ],
)
def test_what_hinders_is_counted(houses: Houses, version: str, upgrades: Any, hindrance: str) -> None:
    install(houses.acme, "sql", houses.sql)

    found = impact_of(candidate(version, spec={"upgrades": upgrades}), now=NOW)

    assert counts(found) == (1, {"cannot": 1}, {hindrance: 1})


def test_what_it_needs_must_be_there(houses: Houses) -> None:
    install(houses.acme, "sql", houses.sql)

    found = impact_of(candidate("1.3.0", depends=[needs("nowhere", "^1.0", "x")]), now=NOW)

    assert counts(found) == (1, {"cannot": 1}, {"conflict": 1})


def test_what_it_brings_along_moves_others(houses: Houses) -> None:
    publish("redis", "1.0.0")
    install(houses.acme, "sql", houses.sql)

    found = impact_of(candidate("1.3.0", depends=[needs("redis", "^1.0", "cache")]), now=NOW)

    assert counts(found) == (1, {"moves_others": 1}, {})


def test_a_newer_one_that_is_offered_does_not_hide_the_answer(houses: Houses) -> None:
    publish("sql", "1.9.0")
    install(houses.acme, "sql", houses.sql)

    assert counts(impact_of(candidate("1.2.1"), now=NOW)) == (1, {"accepts": 1}, {})


def test_what_was_withdrawn_is_left_for_it(houses: Houses) -> None:
    BlueprintVersion.objects.filter(pk=houses.sql.pk).update(yanked_at=NOW)
    install(houses.acme, "sql", houses.sql)

    assert counts(impact_of(candidate("1.2.1"), now=NOW)) == (1, {"accepts": 1}, {})


def test_an_own_blueprint_of_the_name_keeps_it_out(houses: Houses) -> None:
    install(houses.acme, "sql", houses.sql)
    install(houses.globex, "sql", houses.sql)
    publish("sql", "1.0.0", organization=houses.globex)

    assert counts(impact_of(candidate("1.2.1"), now=NOW)) == (
        2,
        {"accepts": 1, "cannot": 1},
        {"shadowed": 1},
    )


def test_the_worst_of_a_lock_counts(houses: Houses) -> None:
    install(houses.acme, "one", houses.sql)
    install(houses.acme, "two", houses.sql, asked="1.2.0")

    found = impact_of(candidate("1.2.1"), now=NOW, own=[houses.acme.pk])

    assert counts(found) == (1, {"cannot": 1}, {"own_range": 1})
    assert [(each.application, each.verdict) for each in found.named] == [("one", "accepts"), ("two", "cannot")]


def test_what_ends_without_an_answer_is_said(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    install(houses.acme, "sql", houses.sql)
    install(houses.globex, "sql", houses.sql)
    new = candidate("1.2.1")

    monkeypatch.setattr(impact_module, "STEPS_OF_A_LOCK", 1)
    assert counts(impact_of(new, now=NOW)) == (2, {"undecided": 2}, {})

    monkeypatch.undo()
    monkeypatch.setattr(impact_module, "STEPS", 2)
    assert counts(impact_of(new, now=NOW)) == (2, {"undecided": 2}, {})


def test_more_locks_need_no_more_queries(houses: Houses) -> None:
    new = candidate("1.2.1")
    install(houses.acme, "sql", houses.sql)
    impact_of(new, now=NOW)

    with CaptureQueriesContext(connection) as one:
        impact_of(new, now=NOW)
    for organization in (houses.acme, houses.globex, houses.initech):
        install(organization, "sql", houses.sql, env_type="dev")
    with CaptureQueriesContext(connection) as four:
        found = impact_of(new, now=NOW)

    assert found.total == 4
    assert len(one) == len(four)
    assert sum("marketplace_application" in query["sql"] for query in four.captured_queries) == 1


def test_what_was_removed_is_no_lock(houses: Houses) -> None:
    row = install(houses.acme, "sql", houses.sql)
    row.removed_by = row.change
    row.save(update_fields=["removed_by"])

    assert counts(impact_of(candidate("1.2.1"), now=NOW)) == (0, {}, {})
