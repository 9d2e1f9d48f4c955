"""The life of a version: legal steps only, each with its record; two persons publish; what is withdrawn stays so."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from catalyst.core.errors import DomainError, InvalidTransition
from marketplace.models import Blueprint, BlueprintVersion, Price
from marketplace.services import blueprint_publication, blueprint_versions
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.blueprint_publication import publish_version
from marketplace.services.blueprint_versions import (
    OwnSubmission,
    ReasonRequired,
    discard_draft,
    restore_version,
    retire_version,
    return_version,
    submit_version,
    yank_version,
)
from tenancy.models import Sovereign, User
from tenancy.services.audit import actor_name
from tests.marketplace.catalogue_rows import NOW, a_person, add_blueprint, add_version
from tests.marketplace.version_rows import a_draft, audited, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sovereign")]


@pytest.fixture
def author() -> User:
    return a_person(staff_role="support-agent", staff_groups=["catalog"])


@pytest.fixture
def reviewer() -> User:
    return a_person(staff_role="sovereign-admin")


def state_of(version: BlueprintVersion) -> tuple[str, bool]:
    version.refresh_from_db()
    return version.state, version.yanked_at is not None


def refused(call: Callable[[], object], version: BlueprintVersion) -> DomainError:
    """Return the refusal of a step; nothing has changed."""
    before = (state_of(version), told(version), version.blueprint.visibility, Price.objects.count())
    with pytest.raises(DomainError) as refusal:
        call()
    version.blueprint.refresh_from_db()
    assert (state_of(version), told(version), version.blueprint.visibility, Price.objects.count()) == before
    return refusal.value


def submitted(author: User, version: str = "1.2.0", **spec: Any) -> BlueprintVersion:
    draft = a_draft(version, **spec)
    return submit_version(version_id=draft.pk, actor=author)


def test_a_draft_is_submitted_returned_submitted_again_and_published(author: User, reviewer: User) -> None:
    version = submitted(author)
    assert state_of(version) == ("review", False)

    return_version(version_id=version.pk, actor=reviewer, reason=" The tests are thin. ")
    assert state_of(version) == ("draft", False)

    submit_version(version_id=version.pk, actor=author)
    impact = publish_version(version_id=version.pk, actor=reviewer, now=NOW)

    assert state_of(version) == ("published", False)
    assert version.published_at == NOW
    assert impact.total == 0
    assert told(version) == ["submitted", "returned", "submitted", "published"]
    facts = {"blueprint": "bp-handbook", "source": "sovereign", "version": "1.2.0"}
    assert audited("returned") == [
        ("sovereign", actor_name(reviewer), {**facts, "reason": "The tests are thin."}),
    ]
    assert audited("published") == [
        ("sovereign", actor_name(reviewer), {**facts, "reason": "", "impact": {"locks": {}, "organizations": 0}}),
    ]


def test_publishing_writes_the_card_the_visibility_and_the_first_price(author: User, reviewer: User) -> None:
    version = submitted(author, pricing={"monthlyBaisa": 500})

    publish_version(version_id=version.pk, actor=reviewer, now=NOW)

    row = Blueprint.objects.get(name="bp-handbook")
    assert (row.visibility, row.title, row.memory_mib) == ("listed", "Handbook", 256)
    assert list(Price.objects.values_list("reference", "amount_minor")) == [("bp-handbook", 500)]


def test_an_older_line_leaves_the_card_to_the_newest(author: User, reviewer: User) -> None:
    newest = submitted(author, "2.0.0")
    publish_version(version_id=newest.pk, actor=reviewer, now=NOW)
    older = submitted(
        author, "1.9.1", footprint={"memoryMiB": 300, "cpuMilli": 300, "diskGiB": 2}, visibility="unlisted"
    )

    publish_version(version_id=older.pk, actor=reviewer, now=NOW)

    row = Blueprint.objects.get(name="bp-handbook")
    assert (row.visibility, row.memory_mib) == ("listed", 256)


def test_a_draft_of_a_newer_one_does_not_keep_the_card(author: User, reviewer: User) -> None:
    a_draft("3.0.0")
    version = submitted(author, "1.2.0")

    publish_version(version_id=version.pk, actor=reviewer, now=NOW)

    assert Blueprint.objects.get(name="bp-handbook").title == "Handbook"


def test_what_a_person_edited_keeps_its_texts_and_gets_its_visibility(author: User, reviewer: User) -> None:
    version = submitted(author)
    Blueprint.objects.filter(name="bp-handbook").update(title="Our handbook", edited_at=NOW)

    publish_version(version_id=version.pk, actor=reviewer, now=NOW)

    row = Blueprint.objects.get(name="bp-handbook")
    assert (row.visibility, row.title) == ("listed", "Our handbook")


def test_nobody_publishes_the_own_submission(author: User) -> None:
    version = submitted(author)

    error = refused(lambda: publish_version(version_id=version.pk, actor=author, now=NOW), version)

    assert (type(error), error.status) == (OwnSubmission, 403)
    assert error.message == "Somebody else must look at it: you handed this version over. Ask a colleague."


def test_the_last_one_who_submitted_counts(author: User, reviewer: User) -> None:
    version = submitted(author)
    return_version(version_id=version.pk, actor=reviewer, reason="thin")
    submit_version(version_id=version.pk, actor=reviewer)

    assert (
        type(refused(lambda: publish_version(version_id=version.pk, actor=reviewer, now=NOW), version)) is OwnSubmission
    )
    publish_version(version_id=version.pk, actor=author, now=NOW)
    assert state_of(version) == ("published", False)


def test_it_is_linted_again(author: User, reviewer: User) -> None:
    depends = [{"blueprint": "bp-mysql", "version": "^1.0", "alias": "db", "sharing": "shared"}]
    version = submitted(author, depends=depends)

    error = refused(lambda: publish_version(version_id=version.pk, actor=reviewer, now=NOW), version)
    assert isinstance(error, ContractRefused)
    assert {each.rule for each in error.findings} == {"BP-D02"}

    row = add_blueprint("mysql", kind="service")
    assert row.versions.count() == 1
    publish_version(version_id=version.pk, actor=reviewer, now=NOW)
    assert state_of(version) == ("published", False)


def test_covering_a_public_name_is_confirmed(author: User, reviewer: User) -> None:
    add_blueprint("handbook")
    version = submitted(author)

    error = refused(lambda: publish_version(version_id=version.pk, actor=reviewer, now=NOW), version)
    assert error.code == "shadow_unconfirmed"
    assert error.message == (
        "bp-handbook exists in the public catalogue. Confirm that yours takes its place on this Sovereign."
    )

    publish_version(version_id=version.pk, actor=reviewer, now=NOW, shadows=True)
    second = submitted(author, "1.3.0", upgrades={"blocks": ["<1.3.0"]})
    publish_version(version_id=second.pk, actor=reviewer, now=NOW)
    assert state_of(second) == ("published", False)


@pytest.mark.parametrize("state", ["draft", "published", "retired"])
def test_only_what_is_in_review_is_published(state: str, reviewer: User) -> None:
    version = a_draft(state=state)

    error = refused(lambda: publish_version(version_id=version.pk, actor=reviewer, now=NOW), version)

    assert error.message == "Only what is in review can be published. Submit the draft first."


STEPS: dict[str, Callable[[int, User], object]] = {
    "submit": lambda pk, actor: submit_version(version_id=pk, actor=actor),
    "return": lambda pk, actor: return_version(version_id=pk, actor=actor, reason="why"),
    "retire": lambda pk, actor: retire_version(version_id=pk, actor=actor, reason="why"),
    "restore": lambda pk, actor: restore_version(version_id=pk, actor=actor),
    "yank": lambda pk, actor: yank_version(version_id=pk, actor=actor, reason="why", now=NOW),
    "discard": lambda pk, actor: discard_draft(version_id=pk, actor=actor),
}
LEGAL = {
    "draft": {"submit", "discard"},
    "review": {"return"},
    "published": {"retire", "yank"},
    "retired": {"restore", "yank"},
}


@pytest.mark.parametrize("state", LEGAL)
def test_no_other_step_is_taken(state: str, author: User) -> None:
    version = a_draft(state=state)

    for name in sorted(STEPS.keys() - LEGAL[state]):
        error = refused(lambda name=name: STEPS[name](version.pk, author), version)  # type: ignore[misc]
        assert (name, error.code, error.status) == (name, "invalid_transition", 409)


def test_a_version_is_retired_and_comes_back(author: User) -> None:
    version = a_draft(state="published")

    retire_version(version_id=version.pk, actor=author, reason="Superseded.")
    assert state_of(version) == ("retired", False)
    assert not BlueprintVersion.objects.installable().exists()

    restore_version(version_id=version.pk, actor=author)
    assert state_of(version) == ("published", False)
    assert told(version) == ["retired", "restored"]


def test_a_withdrawn_version_never_comes_back(author: User) -> None:
    version = a_draft(state="retired")

    yank_version(version_id=version.pk, actor=author, reason="It loses books.", now=NOW, is_security=True)

    assert state_of(version) == ("retired", True)
    assert audited("yanked")[0][2] == {
        "blueprint": "bp-handbook",
        "source": "sovereign",
        "version": "1.2.0",
        "reason": "It loses books.",
        "security": True,
    }
    error = refused(lambda: restore_version(version_id=version.pk, actor=author), version)
    assert error.message == "A withdrawn version never comes back. Publish a new version."
    again = refused(lambda: yank_version(version_id=version.pk, actor=author, reason="x", now=NOW), version)
    assert again.message == "This version is withdrawn already."


def test_a_draft_is_discarded_and_its_number_is_free(author: User) -> None:
    draft = a_draft()

    discard_draft(version_id=draft.pk, actor=author)

    assert not BlueprintVersion.objects.exists()
    assert audited("discarded")[0][2]["digest"] == draft.digest
    a_draft()


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_a_reason_is_written_down(reason: str, author: User) -> None:
    version = a_draft(state="published")

    for call in (
        lambda: retire_version(version_id=version.pk, actor=author, reason=reason),
        lambda: yank_version(version_id=version.pk, actor=author, reason=reason, now=NOW),
    ):
        error = refused(call, version)
        assert (type(error), error.pointer) == (ReasonRequired, "/reason")


def test_what_does_not_exist_is_not_found(author: User) -> None:
    for call in STEPS.values():
        with pytest.raises(DomainError) as refusal:
            call(12345, author)
        assert refusal.value.code == "not_found"
    with pytest.raises(DomainError) as refusal:
        publish_version(version_id=12345, actor=author, now=NOW)
    assert refusal.value.code == "not_found"


def outcomes(*calls: Callable[[], object]) -> list[str]:
    """Run the calls at once, each on a connection of its own, and return how each ended."""
    ended: list[str] = []
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        gate.wait()
        try:
            call()
            ended.append("done")
        except InvalidTransition:
            ended.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(ended)


def race(version: BlueprintVersion, author: User, reviewer: User) -> list[str]:
    return outcomes(
        lambda: return_version(version_id=version.pk, actor=reviewer, reason="thin"),
        lambda: publish_version(version_id=version.pk, actor=reviewer, now=NOW),
    )


def test_of_two_steps_at_once_one_is_taken(author: User, reviewer: User) -> None:
    version = submitted(author)

    assert race(version, author, reviewer) == ["done", "refused"]
    assert len(told(version)) == 2


def test_a_submission_that_is_sent_back_while_it_is_judged_is_not_published(
    author: User, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = submitted(author)
    judged = blueprint_publication.judged_folder

    def while_judged(row: BlueprintVersion) -> Any:
        folder = judged(row)
        return_version(version_id=version.pk, actor=reviewer, reason="thin")
        return folder

    monkeypatch.setattr(blueprint_publication, "judged_folder", while_judged)
    with pytest.raises(InvalidTransition):
        publish_version(version_id=version.pk, actor=reviewer, now=NOW)

    assert state_of(version) == ("draft", False)
    assert Blueprint.objects.get(name="bp-handbook").visibility == "private"


def test_without_the_look_at_the_state_it_would_be_told_twice(author: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: the database lets an equal state pass, so only the step's own look refuses a second one."""
    version = a_draft(state="published")
    retire_version(version_id=version.pk, actor=author, reason="one")
    locked = blueprint_versions.lock_version

    def as_before(version_id: int) -> BlueprintVersion:
        row = locked(version_id)
        row.state = "published"
        return row

    monkeypatch.setattr(blueprint_versions, "lock_version", as_before)
    retire_version(version_id=version.pk, actor=author, reason="two")

    assert told(version) == ["retired", "retired"]


def test_the_database_refuses_an_illegal_step() -> None:
    version = a_draft()

    with pytest.raises(Exception, match="illegal step draft > published"):
        BlueprintVersion.objects.filter(pk=version.pk).update(state="published")


def test_public_versions_are_withdrawn_here_too(reviewer: User, sovereign: Sovereign) -> None:
    row = add_blueprint("wiki")
    version = add_version(row, "1.0.1")

    yank_version(version_id=version.pk, actor=reviewer, reason="Broken.", now=NOW)

    assert list(BlueprintVersion.objects.installable().values_list("version", flat=True)) == ["1.0.0"]
