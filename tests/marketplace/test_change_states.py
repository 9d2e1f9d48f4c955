"""What may happen to a Change in each of its states: every state with every event, against tables of data.

Source: gitops.md §5 of the design.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest
from django.db import transaction

from catalyst.core.errors import DomainError, InvalidTransition
from catalyst.core.models import Outbox
from marketplace.models import Change, ChangeApproval
from marketplace.services import changes
from marketplace.services.change_gates import advance_change, approve_change
from marketplace.services.change_previews import apply_preview, cancel_change
from marketplace.services.changes_lease import take_lease
from marketplace.services.changes_record import Written, record_commit
from tenancy.models import AuditEntry, Environment, Organization, Sovereign, User
from tests.marketplace.policy_rows import APPROVALS, NOW, environment_of, member, rule_by, waiting_change

pytestmark = pytest.mark.django_db(transaction=True)

STATES: Final = tuple(Change.State.values)
#: from → to, as the design has it. Besides: whoever died may have saved a Change that was given up (failed →
#: reconciling), the cluster may make it after the deadline (failed → succeeded), and a window may shut before the
#: commit (committing → awaiting_gates). ``committed`` is passed within the transaction that records a commit, so
#: nothing moves to it.
MOVES: Final[Mapping[str, frozenset[str]]] = {
    "awaiting_gates": frozenset({"committing", "superseded", "cancelled"}),
    "committing": frozenset({"awaiting_gates", "reconciling", "failed", "superseded"}),
    "committed": frozenset({"reconciling", "failed"}),
    "reconciling": frozenset({"succeeded", "failed", "superseded"}),
    "succeeded": frozenset(),
    "failed": frozenset({"committing", "reconciling", "succeeded"}),
    "superseded": frozenset(),
    "cancelled": frozenset(),
}

#: The states as rows: a Change may have failed before its commit or after it.
ROWS: Final = (*(state for state in STATES if state != "failed"), "failed", "failed, saved")
_SAVED: Final = ("committed", "reconciling", "succeeded", "failed, saved")
NOTHING: Final = "nothing"

#: event → row → what comes of it: another state, ``nothing``, or "! code" for a refusal. ``nothing`` and a refusal
#: write nothing at all. "noted" keeps the state.
OUTCOMES: Final[Mapping[str, Mapping[str, str]]] = {
    "apply": dict.fromkeys(ROWS, NOTHING),
    "cancel": dict.fromkeys(ROWS, "! invalid_transition") | {"awaiting_gates": "cancelled"},
    "approve": dict.fromkeys(ROWS, "! change_not_waiting") | {"awaiting_gates": "noted"},
    "advance": dict.fromkeys(ROWS, NOTHING) | {"awaiting_gates": "committing"},
    "supersede": dict.fromkeys(ROWS, NOTHING) | {"awaiting_gates": "superseded", "committing": "superseded"},
    "fail": dict.fromkeys(ROWS, NOTHING)
    | {"awaiting_gates": "! invalid_transition"}
    | dict.fromkeys(("committing", "committed", "reconciling"), "failed"),
    "retry": dict.fromkeys(ROWS, "! invalid_transition")
    | {"failed": "! change_replaced", "failed, saved": "reconciling"},
    "settle": dict.fromkeys(ROWS, NOTHING) | {"reconciling": "succeeded", "failed, saved": "succeeded"},
    "settle what was rolled back": dict.fromkeys(ROWS, NOTHING) | {"reconciling": "superseded"},
    # Nothing waits for the cluster in these, so what is recorded is done.
    "record its commit": dict.fromkeys(ROWS, "! invalid_transition")
    | dict.fromkeys(_SAVED, NOTHING)
    | {"committing": "succeeded", "failed": "succeeded"},
}

Event = Callable[[Change], Any]


@pytest.fixture
def prod(organization: Organization, sovereign: Sovereign) -> Environment:
    return environment_of(organization)


@pytest.fixture
def author(organization: Organization) -> User:
    return member(organization, "org-developer")


def change_in(row: str, environment: Environment, author: User) -> Change:
    """Return a Change of its own in this state, as it is found there."""
    change = waiting_change(environment, author)
    fields: dict[str, Any] = {"state": row.partition(",")[0], "committed_at": NOW}
    if row in _SAVED:
        sha = hashlib.sha1(str(change.pk).encode(), usedforsecurity=False).hexdigest()
        fields |= {"commit": sha, "seq": 1_000 + Change.objects.count()}
    if row not in ("awaiting_gates", "committing", "committed", "reconciling"):
        fields["finished_at"] = NOW
    Change.objects.filter(pk=change.pk).update(**fields)
    return Change.objects.select_related("environment", "organization").get(pk=change.pk)


def written_count() -> tuple[int, int, int]:
    return Outbox.objects.count(), AuditEntry.objects.count(), ChangeApproval.objects.count()


def outcome_of(event: Event, change: Change) -> str:
    """Let it happen; say what came of it, and check that a refusal and a ``nothing`` wrote nothing."""
    before, columns = written_count(), Change.objects.filter(pk=change.pk).values().get()
    try:
        event(change)
        refused = ""
    except DomainError as error:
        refused = f"! {error.code}"
    after = Change.objects.filter(pk=change.pk).values().get()
    if refused or (after == columns and written_count() == before):
        assert (after, written_count()) == (columns, before)
        return refused or NOTHING
    assert written_count() != before, "A move without an event."
    return str(after["state"]) if after["state"] != columns["state"] else "noted"


def test_every_move_of_the_table_and_no_other(prod: Environment, author: User) -> None:
    allowed: dict[str, set[str]] = {state: set() for state in STATES}
    for state in STATES:
        row = "failed, saved" if state == "failed" else state
        for to in STATES:
            change = change_in(row, prod, author)
            try:
                with transaction.atomic(durable=True):
                    changes.move(change, to, commit="" if to in {"awaiting_gates", "cancelled"} else "c" * 40, **_SEQ)
            except InvalidTransition:
                assert Change.objects.get(pk=change.pk).state == state
                continue
            finally:
                Change.objects.filter(pk=change.pk).update(seq=None, commit="", state="superseded")
            allowed[state].add(to)

    assert allowed == MOVES


_SEQ: Final[Mapping[str, Any]] = {"seq": 7, "committed_at": NOW}


def test_control_a_move_that_somebody_else_made_first_is_refused(prod: Environment, author: User) -> None:
    seen = change_in("awaiting_gates", prod, author)
    Change.objects.filter(pk=seen.pk).update(state="cancelled")

    with pytest.raises(DomainError) as refused, transaction.atomic(durable=True):
        changes.move(seen, "committing")

    assert (refused.value.code, seen.state) == ("invalid_transition", "awaiting_gates")


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_an_event_does_in_each_state(
    name: str, prod: Environment, author: User, org_admin: User, organization: Organization
) -> None:
    if name == "approve":
        rule_by(prod, APPROVALS, by=org_admin)
    event = _events(prod, org_admin)[name]

    assert {row: outcome_of(event, change_in(row, prod, author)) for row in ROWS} == OUTCOMES[name]


def _events(prod: Environment, person: User) -> Mapping[str, Event]:
    later = NOW + timedelta(minutes=1)
    who: dict[str, Any] = {"actor": person, "now": later}
    said: dict[str, Any] = {"reason": "So it is.", "now": later}

    def approve(change: Change) -> None:
        approve_change(change_id=change.pk, preview_id=change.preview_id or "", **who)

    def record(change: Change) -> None:
        take_lease(environment_id=prod.pk, owner="worker-1")
        sha = hashlib.sha1(f"new {change.pk}".encode(), usedforsecurity=False).hexdigest()
        nothing: frozenset[str] = frozenset()
        written = Written(sha, "", 2_000 + Change.objects.count(), {}, nothing, nothing, nothing)
        with_lease: dict[str, Any] = {"environment_id": prod.pk, "owner": "worker-1", "now": later}
        try:
            record_commit(change_id=change.pk, written=written, **with_lease)
        finally:
            Environment.objects.filter(pk=prod.pk).update(head_commit="", head_seq=0)

    def settle_rolled_back(change: Change) -> None:
        back = change_in("succeeded", prod, person)
        Change.objects.filter(pk=back.pk).update(kind=Change.Kind.REVERT, reverts=change)
        changes.settle_change(change_id=change.pk, now=later)

    return {
        "apply": lambda change: apply_preview(environment=prod, preview_id=change.preview_id or "", **who),
        "cancel": lambda change: cancel_change(change_id=change.pk, **who),
        "approve": approve,
        "advance": lambda change: advance_change(change_id=change.pk, now=later),
        "supersede": lambda change: changes.supersede_change(change_id=change.pk, **said),
        "fail": lambda change: changes.fail_change(change_id=change.pk, **said),
        "retry": lambda change: changes.retry_change(change_id=change.pk, **who),
        "settle": lambda change: changes.settle_change(change_id=change.pk, now=later),
        "settle what was rolled back": settle_rolled_back,
        "record its commit": record,
    }


def test_what_a_subscription_asked_for_is_tried_again_before_its_commit_too(prod: Environment, author: User) -> None:
    change = change_in("failed", prod, author)
    Change.objects.filter(pk=change.pk).update(kind=Change.Kind.PAUSE, target_tree="", preview=None)

    assert outcome_of(_events(prod, author)["retry"], change) == "committing"


def test_what_failed_stays_failed_when_the_cluster_is_well_after_its_roll_back(prod: Environment, author: User) -> None:
    failed, saved = change_in("failed, saved", prod, author), change_in("failed, saved", prod, author)
    back = change_in("committing", prod, author)
    Change.objects.filter(pk=back.pk).update(kind=Change.Kind.REVERT, reverts=failed)

    # Planned is not done: until its commit the first one may still succeed.
    settle = _events(prod, author)["settle"]
    assert outcome_of(settle, saved) == "succeeded"
    sha = {"commit": "b" * 40, "seq": 9_000, "committed_at": NOW, "state": "reconciling"}
    Change.objects.filter(pk=back.pk).update(**sha)
    assert outcome_of(settle, failed) == NOTHING
