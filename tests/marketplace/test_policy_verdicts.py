"""What the rules say of a Change: approvals by people who hold the role now, soak by digest, windows, emergencies."""

from datetime import timedelta
from typing import Any

import pytest

from marketplace.models import EnvironmentPolicy
from marketplace.services.policies import Approval, PolicySubject, judge_policy, policy_version, subject_of
from tenancy.models import Environment, Membership, Organization, User
from tests.factories import MembershipFactory
from tests.marketplace.policy_rows import (
    APPROVALS,
    NOW,
    SOAK,
    WINDOW,
    edit,
    environment_of,
    member,
    rule_by,
    run,
    version_of,
    waiting_change,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def prod(organization: Organization) -> Environment:
    return environment_of(organization)


@pytest.fixture
def stg(organization: Organization) -> Environment:
    return environment_of(organization, "stg")


@pytest.fixture
def author(organization: Organization) -> User:
    return member(organization, "org-admin")


@pytest.fixture
def officer(organization: Organization) -> User:
    return member(organization, "security-officer")


@pytest.fixture
def admin(organization: Organization) -> User:
    return member(organization, "org-admin")


def judge(
    environment: Environment, author: User, *approvals: tuple[User, bool], digests: Any = (), now: Any = NOW
) -> list[tuple[str, str, int]]:
    said = tuple(Approval(user.pk, "any", is_emergency) for user, is_emergency in approvals)
    subject = PolicySubject(author.pk, said, frozenset(digests), "change")
    verdicts = judge_policy(environment, subject, now=now)
    return [(each.kind, each.outcome, each.missing) for each in verdicts]


def test_no_policy_says_nothing(prod: Environment, author: User) -> None:
    assert judge(prod, author) == []
    assert policy_version(prod) == ""


def test_two_people_who_hold_the_role_are_enough(prod: Environment, author: User, officer: User, admin: User) -> None:
    rule_by(prod, APPROVALS, by=author)

    assert judge(prod, author) == [("pr-required", "needs", 2)]
    assert judge(prod, author, (officer, False)) == [("pr-required", "needs", 1)]
    assert judge(prod, author, (officer, False), (admin, False)) == [("pr-required", "passes", 0)]
    assert policy_version(prod) == "1"


def test_the_author_and_one_person_twice_do_not_count(prod: Environment, author: User, officer: User) -> None:
    rule_by(prod, APPROVALS, by=author)

    assert judge(prod, author, (author, False), (officer, False), (officer, False)) == [("pr-required", "needs", 1)]


@pytest.mark.parametrize("loss", ["gone", "expired", "elsewhere", "inactive"])
def test_a_role_that_is_lost_while_the_change_waits_does_not_count(
    loss: str, prod: Environment, author: User, officer: User, admin: User
) -> None:
    rule_by(prod, APPROVALS, by=author)
    held = Membership.objects.filter(user=officer)
    if loss == "gone":
        held.delete()
    elif loss == "expired":
        held.update(expires_at=NOW - timedelta(days=1000))
    elif loss == "elsewhere":
        held.update(env_types=["stg"])
    else:
        User.objects.filter(pk=officer.pk).update(is_active=False)

    assert judge(prod, author, (officer, False), (admin, False)) == [("pr-required", "needs", 1)]


def test_another_role_and_another_organization_do_not_count(
    prod: Environment, organization: Organization, author: User, stranger: User
) -> None:
    rule_by(prod, APPROVALS, by=author)
    developer = member(organization, "org-developer")

    assert judge(prod, author, (developer, False), (stranger, False)) == [("pr-required", "needs", 2)]


def test_a_window_is_judged_by_the_second(prod: Environment, author: User) -> None:
    rule_by(prod, WINDOW, by=author)
    subject = PolicySubject(author.pk, (), frozenset(), "change")
    end = NOW.replace(hour=12, minute=0)

    (waits,) = judge_policy(prod, subject, now=end)

    assert judge(prod, author, now=end - timedelta(seconds=1)) == [("change-window", "passes", 0)]
    assert (waits.outcome, waits.until) == ("waits", NOW.replace(day=26, hour=10, minute=0))
    assert waits.as_json()["until"] == "2026-11-26T10:00:00+00:00"


@pytest.mark.parametrize(
    ("hours", "outcome", "until"),
    [(72, "passes", None), (71, "waits", NOW + timedelta(hours=1)), (None, "waits", None)],
)
def test_soak_asks_for_time_without_a_break(
    hours: int | None, outcome: str, until: Any, prod: Environment, stg: Environment, author: User
) -> None:
    rule_by(prod, SOAK, by=author)
    version = version_of()
    run(stg, version, author, since=NOW - timedelta(hours=hours) if hours else None)
    subject = PolicySubject(author.pk, (), frozenset({version.digest}), "promote")

    (verdict,) = judge_policy(prod, subject, now=NOW)

    assert (verdict.outcome, verdict.until) == (outcome, until)


def test_soak_is_of_exactly_these_bytes(prod: Environment, stg: Environment, author: User) -> None:
    rule_by(prod, SOAK, by=author)
    old = version_of()
    new = version_of("1.1.0", blueprint=old.blueprint)
    row = run(stg, old, author, since=NOW - timedelta(days=9))

    assert judge(prod, author, digests=[new.digest]) == [("soak", "refused", 0)]
    assert judge(prod, author) == [("soak", "passes", 0)]
    # ``main`` has moved on, and the projection has not heard of it: the old time is not the new version's.
    row.blueprint_version = new
    row.save()
    assert judge(prod, author, digests=[new.digest]) == [("soak", "waits", 0)]


def test_soak_looks_at_what_is_new_and_what_moves(prod: Environment, stg: Environment, author: User) -> None:
    old = version_of()
    new = version_of("1.1.0", blueprint=old.blueprint)
    row = run(prod, old, author, since=None)
    change = waiting_change(prod, author)
    edit(change, row, new)

    assert subject_of(change).digests == {new.digest}

    same = waiting_change(prod, author)
    edit(same, row, old)
    assert subject_of(same).digests == frozenset()


def test_an_emergency_takes_two_people_in_two_roles(
    prod: Environment, stg: Environment, organization: Organization, author: User, officer: User, admin: User
) -> None:
    rule_by(prod, APPROVALS, SOAK, {**WINDOW, "cron": "0 3 * * *"}, by=author)
    version = version_of()
    run(stg, version, author, since=NOW)
    shut = [("pr-required", "needs", 2), ("soak", "waits", 0), ("change-window", "waits", 0)]
    skipped = [("pr-required", "needs", 2), ("soak", "passes", 0), ("change-window", "passes", 0)]

    def with_emergency(*people: User) -> list[tuple[str, str, int]]:
        return judge(prod, author, *((each, True) for each in people), digests=[version.digest])

    assert with_emergency(admin) == shut
    assert with_emergency(officer, author) == shut
    assert with_emergency(officer, admin) == skipped
    # Both roles in one hand are one person.
    MembershipFactory.create(user=admin, organization=organization, role="security-officer")
    assert with_emergency(admin) == shut
    Membership.objects.filter(user=officer).delete()
    assert with_emergency(officer, admin) == shut


@pytest.mark.parametrize("rules", [{}, "soak", [{"kind": "score"}], [SOAK]])
def test_a_policy_that_nobody_can_read_refuses_everything(rules: Any, prod: Environment, author: User) -> None:
    # Of the last one the source Environment does not exist.
    policy = rule_by(prod, by=author)
    EnvironmentPolicy.objects.filter(pk=policy.pk).update(rules=rules)

    assert judge(prod, author) == [("policy", "refused", 0)]
