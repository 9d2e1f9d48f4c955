"""What is said of newer versions: what can be had, how urgent it is, and what stands in the way."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from marketplace.selectors.catalogue import get_card
from marketplace.selectors.offer import load_offer
from marketplace.selectors.resolver import Unresolvable
from marketplace.selectors.selection import lock_selection
from marketplace.selectors.upgrades import Move, ReleaseNote, UpgradeNotice, available_upgrades
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk
from tests.marketplace.upgrade_rows import installed, needs, publish, ready, upgrade

pytestmark = pytest.mark.django_db(transaction=True)
SQL = needs("sql", "^1.0", "db")


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[SQL])
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    return desk


def notice(desk: Desk, application: str = "wiki") -> UpgradeNotice:
    """Return what is said of one Application."""
    notices = available_upgrades(desk.environment(), now=timezone.now())
    assert [each.application for each in notices] == ["shared-sql", "wiki"]
    return next(each for each in notices if each.application == application)


def test_nothing_is_said_when_there_is_nothing_newer(desk: Desk) -> None:
    assert notice(desk) == UpgradeNotice("wiki", "Wiki", "bp-wiki", "1.2.0", "", "", (), (), (), "")


@pytest.mark.parametrize(
    ("versions", "newest", "kind"),
    [
        ([("1.2.1", False)], "1.2.1", "fix"),
        ([("1.2.1", False), ("1.3.0", False)], "1.3.0", "feature"),
        ([("1.2.1", True), ("1.3.0", False)], "1.3.0", "security"),
        ([("1.2.1", False), ("1.3.0-rc.1", False)], "1.2.1", "fix"),
    ],
)
def test_a_security_fix_anywhere_between_wins(
    desk: Desk, versions: list[tuple[str, bool]], newest: str, kind: str
) -> None:
    for version, is_security in versions:
        publish("wiki", version, depends=[SQL], is_security=is_security, changelog=f"What {version} brings.")

    said = notice(desk)

    assert (said.newest, said.kind, said.blocked) == (newest, kind, "")
    expected = [ReleaseNote(version, f"What {version} brings.", secure) for version, secure in versions[::-1]]
    assert said.changelog == tuple(each for each in expected if "-" not in each.version)


def test_what_else_moves_is_said(desk: Desk) -> None:
    publish("wiki", "1.3.0", depends=[needs("sql", "^1.1", "db"), needs("cache", "^1", "cache")])
    publish("sql", "1.1.0", kind="service")
    publish("cache", "1.0.0", kind="service")

    assert notice(desk).others == (
        Move("shared-cache", "bp-cache", "", "1.0.0"),
        Move("shared-sql", "bp-sql", "1.0.0", "1.1.0"),
    )


@pytest.mark.parametrize(
    ("version", "more", "reason"),
    [
        ("2.0.0", {"spec": {"upgrades": {"from": ["1.x"]}}}, "2.0.0 is not in the range ^1.2 that was asked for."),
        (
            "2.0.0",
            {},
            "2.0.0 does not take over 1.2.0: recreate the Application to have it.",
        ),
        ("1.3.0", {"spec": {"upgrades": {"blocks": ["<1.3"]}}}, "1.3.0 cannot be reached from 1.2.0."),
    ],
)
def test_what_cannot_be_had_is_said_with_the_reason(
    desk: Desk, version: str, more: dict[str, Any], reason: str
) -> None:
    publish("wiki", version, depends=[SQL], **more)

    said = notice(desk)

    assert (said.newest, said.kind, said.blocked) == ("", "", reason)


def test_who_holds_a_service_back_is_said(desk: Desk) -> None:
    publish("sql", "2.0.0", kind="service", spec={"upgrades": {"from": ["1.x"]}})

    assert notice(desk, "shared-sql").blocked == "2.0.0 is not what wiki 1.2.0 (^1.0) needs."


def test_the_version_that_runs_is_judged_too(desk: Desk) -> None:
    running = publish("wiki", "1.2.1", depends=[SQL])
    upgrade(desk, {"wiki": ""})
    running.yanked_at = timezone.now()
    running.save(update_fields=["yanked_at"])

    assert notice(desk).notices == (
        "Version 1.2.1 was withdrawn by its publisher. It keeps running; upgrade as soon as you can.",
    )


def test_a_retired_version_is_said_to_be_so(desk: Desk) -> None:
    running = publish("wiki", "1.2.1", depends=[SQL])
    upgrade(desk, {"wiki": ""})
    running.state = "retired"
    running.save(update_fields=["state"])

    assert notice(desk).notices == ("Version 1.2.1 is not offered any more. It keeps running.",)


def test_a_deprecated_one_says_so_in_the_readers_language(desk: Desk, organization: Organization) -> None:
    message = {"en": "Use the manual instead.", "ar": "استخدم الدليل بدلًا منه."}
    deprecated = {"since": "1.2.1", "replacedBy": "bp-manual", "message": message}
    publish("wiki", "1.2.1", depends=[SQL], spec={"deprecated": deprecated})

    assert notice(desk).notices == ("Use the manual instead.",)
    publish("manual", "1.0.0")
    assert notice(desk).notices == ("Use the manual instead. bp-manual replaces it.",)
    with translation.override("ar"):
        assert notice(desk).notices[0].startswith("استخدم الدليل بدلًا منه.")


def test_what_was_withdrawn_before_is_never_offered(desk: Desk) -> None:
    publish("wiki", "1.2.1", depends=[SQL], yanked_at=timezone.now(), is_security=True)

    assert (notice(desk).newest, notice(desk).blocked) == ("", "")
    publish("wiki", "1.2.2", depends=[SQL])
    assert (notice(desk).newest, notice(desk).kind) == ("1.2.2", "security")


@pytest.mark.parametrize("copies", [1, 4])
def test_takes_the_same_statements_however_many_stand_in_the_way(desk: Desk, copies: int) -> None:
    names = [f"extra{number}" for number in range(copies)]
    for name in names:
        publish(name, "1.0.0")
    for number, name in enumerate(names):
        ready(desk, desk.deliver(desk.order(f"OMN-2026-0000{number + 10}", f"bp-{name}")))
        publish(name, "2.0.0")
    environment = desk.environment()
    available_upgrades(environment, now=timezone.now())  # the price list is read once for each stamp

    with CaptureQueriesContext(connection) as queries:
        notices = available_upgrades(environment, now=timezone.now())

    assert [bool(each.blocked) for each in notices if each.application in names] == [True] * copies
    assert len(queries) == 4
    assert not any('"files"' in query["sql"] for query in queries)


def test_one_that_is_deprecated_is_not_sold_anew(desk: Desk, organization: Organization) -> None:
    at = timezone.now()
    assert get_card("wiki", organization, currency="OMR", at=at).is_installable

    publish("wiki", "1.2.1", depends=[SQL], spec={"deprecated": {"since": "1.2.1"}})

    assert not get_card("wiki", organization, currency="OMR", at=at).is_installable
    assert "bp-wiki" not in load_offer(organization, currency="OMR", at=at).for_sale
    assert notice(desk).newest == "1.2.1"


def test_what_is_deprecated_comes_along_with_nothing_new(desk: Desk, organization: Organization) -> None:
    publish("sql", "1.0.1", kind="service", spec={"deprecated": {"since": "1.0.1"}})
    publish("blog", "1.0.0", depends=[SQL])
    offer = load_offer(organization, currency="OMR", at=timezone.now())

    with pytest.raises(Unresolvable) as refused:
        lock_selection(offer, ("bp-blog",), {})

    assert refused.value.message == (
        "blog needs bp-sql, which is deprecated: what runs keeps it, and nothing new gets it."
    )
    assert notice(desk, "shared-sql").newest == "1.0.1"


def test_what_was_paid_before_is_installed_with_all_that_it_needs(desk: Desk) -> None:
    publish("late", "1.0.0", depends=[needs("store", "^1.0", "db")])
    publish("store", "1.0.0", kind="service", spec={"deprecated": {"since": "1.0.0"}})

    desk.deliver(desk.order("OMN-2026-000002", "bp-late"))

    assert installed(desk) == {"late": "1.0.0", "shared-sql": "1.0.0", "shared-store": "1.0.0", "wiki": "1.2.0"}
