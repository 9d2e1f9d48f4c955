"""Staff see the lives of versions and take the steps after a question; two of them publish."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from marketplace.models import BlueprintVersion
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.catalogue_rows import a_person, add_blueprint
from tests.marketplace.upgrade_rows import publish
from tests.marketplace.version_rows import a_draft, install, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sovereign")]

LIST = "admin:marketplace_blueprintversion_changelist"


def signed_in(*groups: str, role: str = User.StaffRole.SUPPORT) -> Client:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(a_person(staff_role=role, staff_groups=list(groups)))
    return client


@pytest.fixture
def author() -> Client:
    return signed_in("catalog")


@pytest.fixture
def reviewer() -> Client:
    return signed_in(role=User.StaffRole.ADMIN)


def act(client: Client, action: str, version: BlueprintVersion, **sent: str) -> str:
    data = {"action": action, "_selected_action": [str(version.pk)], **sent}
    answer: Any = client.post(reverse(LIST), data, follow=True)
    return str(answer.content.decode())


def states(version: BlueprintVersion) -> tuple[str, bool]:
    version.refresh_from_db()
    return version.state, version.yanked_at is not None


def test_two_persons_bring_a_draft_onto_the_shelf(author: Client, reviewer: Client) -> None:
    version = a_draft()

    assert "Submit these drafts?" in act(author, "submit", version)
    assert states(version) == ("draft", False)
    assert "The version bp-handbook 1.2.0 is in review." in act(author, "submit", version, confirmed="yes")
    assert "Somebody else must look at it" in act(author, "publish", version, confirmed="yes")
    assert states(version) == ("review", False)

    asked = act(reviewer, "publish", version)
    assert "bp-handbook 1.2.0: No Environment runs this Blueprint." in asked
    assert states(version) == ("review", False)
    assert "The version bp-handbook 1.2.0 is published." in act(reviewer, "publish", version, confirmed="yes")
    assert states(version) == ("published", False)


def test_the_question_counts_what_runs(author: Client, reviewer: Client, organization: Organization) -> None:
    install(organization, "secret", a_draft("1.1.0", state="published"))
    install(organization, "other", BlueprintVersion.objects.get(), env_type="dev", asked="1.1.0")
    version = a_draft("1.2.0", upgrades={"from": ["1.1.x"]}, state="review")

    asked = act(reviewer, "publish", version)

    assert "bp-handbook 1.2.0: BP-T02 tests/upgrade.yaml:" in asked
    assert "bp-handbook 1.2.0: Environments that can take it as they are: 1" in asked
    assert "bp-handbook 1.2.0: Environments that cannot take it: 1" in asked
    assert "— Somebody asked for other versions: 1" in asked
    assert "secret" not in asked


def test_own_applications_are_named(organization: Organization) -> None:
    person = a_person(staff_role=User.StaffRole.ADMIN)
    organization.memberships.create(user=person, role="org-viewer")
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(person)
    install(organization, "library", a_draft("1.1.0", state="published"))

    asked = act(client, "publish", a_draft("1.2.0", state="review"))

    assert "Yours: library in acme-prod (1.1.0) can take it." in asked


def test_covering_a_public_name_is_ticked(author: Client, reviewer: Client) -> None:
    add_blueprint("handbook")
    version = a_draft(state="review")

    assert 'name="shadows"' in act(reviewer, "publish", version)
    assert "exists in the public catalogue" in act(reviewer, "publish", version, confirmed="yes")
    assert states(version) == ("review", False)
    act(reviewer, "publish", version, confirmed="yes", shadows="yes")
    assert states(version) == ("published", False)


@pytest.mark.parametrize(
    ("action", "before", "after", "done"),
    [
        ("send_back", "review", ("draft", False), "The version bp-handbook 1.2.0 is a draft again."),
        ("retire", "published", ("retired", False), "The version bp-handbook 1.2.0 is retired."),
        ("yank", "retired", ("retired", True), "The version bp-handbook 1.2.0 is withdrawn."),
        ("yank_for_security", "published", ("published", True), "The version bp-handbook 1.2.0 is withdrawn."),
    ],
)
def test_steps_with_a_reason(reviewer: Client, action: str, before: str, after: Any, done: str) -> None:
    version = a_draft(state=before)

    assert 'name="reason"' in act(reviewer, action, version)
    assert "Write down the reason, in 500 characters at most." in act(reviewer, action, version, confirmed="yes")
    assert (states(version), told(version)) == ((before, False), [])
    assert done in act(reviewer, action, version, confirmed="yes", reason="Because.")
    assert states(version) == after


def test_a_retired_version_is_restored_and_a_draft_discarded(reviewer: Client) -> None:
    version, draft = a_draft(state="retired"), a_draft("1.3.0")

    act(reviewer, "restore", version, confirmed="yes")
    act(reviewer, "discard", draft, confirmed="yes")

    assert list(BlueprintVersion.objects.values_list("version", "state")) == [("1.2.0", "published")]


def test_a_refusal_is_shown(reviewer: Client) -> None:
    version = a_draft(state="published")

    assert "This cannot be done now: the version is “Published”." in act(reviewer, "restore", version, confirmed="yes")


@pytest.mark.parametrize("action", ["submit", "publish", "send_back", "retire", "restore", "yank", "discard"])
def test_other_staff_only_look(action: str) -> None:
    version = a_draft(state="review")

    act(signed_in("finance"), action, version, confirmed="yes", reason="Because.")

    assert (states(version), told(version)) == (("review", False), [])


def test_list_and_page_say_what_waits(reviewer: Client, organization: Organization) -> None:
    install(organization, "library", a_draft("1.1.0", state="published"))
    draft = a_draft("1.2.0")

    listed = reviewer.get(reverse(LIST)).content.decode()
    page = reviewer.get(reverse("admin:marketplace_blueprintversion_change", args=[draft.pk])).content.decode()

    assert '<td class="field-running">1</td>' in listed
    assert "Environments that can take it as they are: 1" in page
    assert "BP-U01" in page


def test_an_organizations_own_are_not_the_staffs(reviewer: Client, organization: Organization) -> None:
    own = publish("books", "1.0.0", organization=organization)

    assert "bp-books" not in reviewer.get(reverse(LIST)).content.decode()
    act(reviewer, "retire", own, confirmed="yes", reason="Because.")
    assert states(own) == ("published", False)


def test_customers_stay_out(org_admin: User, sovereign: Sovereign) -> None:
    client = Client()
    client.force_login(org_admin)

    assert client.get(reverse(LIST)).status_code in {302, 403, 404}
