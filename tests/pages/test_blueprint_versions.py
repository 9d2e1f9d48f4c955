"""The life of versions on pages: what became of each, where it runs, and the steps of an Organization's own."""

import re
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from marketplace.models import BlueprintVersion
from marketplace.services.blueprint_versions import retire_version, yank_version
from tenancy.models import Organization, Sovereign, User
from tests.factories import MembershipFactory, OrganizationFactory
from tests.marketplace.catalogue_rows import NOW, a_person
from tests.marketplace.upgrade_rows import needs, publish
from tests.marketplace.version_rows import audited, install, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sovereign")]

CONSOLE = "/console/acme/blueprints/books/"


def words(answer: Any, status: int = 200) -> str:
    """Return what a page says, without its tags."""
    assert answer.status_code == status
    text = re.sub(r"<[^>]+>", " ", answer.content.decode().split("<main", 1)[-1])
    return re.sub(r"\s+", " ", text)


@pytest.fixture
def own(organization: Organization) -> BlueprintVersion:
    return publish(
        "books", "1.1.0", organization=organization, changelog="### Security\n- Closes a *hole*.", is_security=True
    )


@pytest.fixture
def admin(client: Client, org_admin: User) -> Client:
    client.force_login(org_admin)
    return client


def test_everybody_reads_what_became_of_each_version(client: Client) -> None:
    staff = a_person(staff_role="sovereign-admin")
    old, bad = publish("wiki", "1.0.0"), publish("wiki", "1.1.0")
    newest = publish("wiki", "1.2.0", changelog="Better <b>search</b>.", is_security=True)
    publish("wiki", "2.0.0", state="draft", changelog="Secret plans.")
    retire_version(version_id=old.pk, actor=staff, reason="Too old.")
    yank_version(version_id=bad.pk, actor=staff, reason="It leaks.", now=NOW, is_security=True)

    said = words(client.get("/apps/wiki/"))

    assert "Versions and changes" in said
    assert "1.2.0 Security fix" in said
    assert "Better &lt;b&gt;search&lt;/b&gt;." in said
    assert "1.1.0 Withdrawn" in said
    assert "Withdrawn for a security reason. Where it runs, upgrade now. It leaks." in said
    assert "1.0.0 Retired" in said
    assert "Not offered any more. Where it runs it keeps running. Too old." in said
    assert f"Ships with this cloud. Digest: {newest.digest}" in said
    assert "2.0.0" not in said
    assert "Secret plans." not in said
    assert "Where you use it" not in said


def test_the_end_of_a_blueprint_is_said_in_both_languages(client: Client) -> None:
    publish("newer", "1.0.0")
    message = {"en": "Use the newer one.", "ar": "استخدم الأحدث."}
    publish("wiki", "1.0.0", spec={"deprecated": {"since": "1.0.0", "replacedBy": "bp-newer", "message": message}})

    assert "Use the newer one. Newer replaces it." in words(client.get("/apps/wiki/"))
    assert "استخدم الأحدث." in words(client.get("/ar/apps/wiki/"))


def test_a_replacement_that_the_reader_may_not_see_is_not_named(client: Client, own: BlueprintVersion) -> None:
    publish("wiki", "1.0.0", spec={"deprecated": {"since": "1.0.0", "replacedBy": "bp-books"}})

    said = words(client.get("/apps/wiki/"))

    assert "Its publisher does not develop it any more. It keeps running." in said
    assert "Books" not in said


def test_members_see_where_they_use_it(admin: Client, organization: Organization) -> None:
    sql = publish("sql", "1.0.0", kind="service")
    install(organization, "wiki", publish("wiki", "1.0.0", depends=[needs("sql", "^1.0", "db")]), db="shared-sql")
    install(organization, "shared-sql", sql, "wiki")
    install(OrganizationFactory.create(slug="globex"), "theirs", sql)

    said = words(admin.get("/apps/sql/"))

    assert "shared-sql Acme acme-prod 1.0.0 wiki" in said
    assert "theirs" not in said
    assert "wiki Acme acme-prod 1.0.0 You chose it" in words(admin.get("/apps/wiki/"))
    publish("lone", "1.0.0")
    assert "None of your applications uses it." in words(admin.get("/apps/lone/"))


def test_an_own_version_is_retired_offered_again_and_withdrawn(admin: Client, own: BlueprintVersion) -> None:
    assert "Retire or withdraw a version" in words(admin.get("/apps/books/"))
    install(own.blueprint.organization, "library", own)  # type: ignore[arg-type]

    asked = words(admin.get(f"{CONSOLE}1.1.0/retire/"))
    assert "Retire version 1.1.0?" in asked
    assert "It runs here: library ( acme-prod )" in asked
    retired = words(admin.post(f"{CONSOLE}1.1.0/retire/", {"reason": "Old."}, follow=True))
    assert "Version 1.1.0 is not offered any more." in retired
    assert "Not offered any more. Where it runs it keeps running. Old." in retired
    words(admin.post(f"{CONSOLE}1.1.0/restore/", follow=True))
    said = words(admin.post(f"{CONSOLE}1.1.0/yank/", {"reason": "It leaks.", "security": "on"}, follow=True))

    assert "Withdrawn for a security reason. Where it runs, upgrade now. It leaks." in said
    assert "library Acme acme-prod 1.1.0 You chose it" in said
    assert told(own) == ["retired", "restored", "yanked"]
    assert audited("yanked")[0][2]["security"] is True


def test_a_refusal_is_said_and_changes_nothing(admin: Client, own: BlueprintVersion) -> None:
    assert "Write down the reason, in 500 characters at most." in words(
        admin.post(f"{CONSOLE}1.1.0/retire/", {"reason": " "}), 422
    )
    assert "This cannot be done now: the version is “Published”." in words(admin.post(f"{CONSOLE}1.1.0/restore/"), 409)
    assert told(own) == []


def test_a_version_that_is_not_there_is_not_found(admin: Client, own: BlueprintVersion) -> None:
    for path in (f"{CONSOLE}9.9.9/retire/", f"{CONSOLE}1.1.0/burn/", "/console/acme/blueprints/nothing/"):
        assert admin.get(path).status_code == 404


def test_others_versions_are_not_decided_on(admin: Client) -> None:
    public = publish("wiki", "1.0.0")

    assert admin.post("/console/acme/blueprints/wiki/1.0.0/retire/", {"reason": "Why."}).status_code == 403
    assert admin.get("/console/acme/blueprints/wiki/").status_code == 403
    assert told(public) == []


def test_a_viewer_looks_and_a_stranger_finds_nothing(
    client: Client, organization: Organization, stranger: User, own: BlueprintVersion
) -> None:
    step, reason = f"{CONSOLE}1.1.0/retire/", {"reason": "Why."}
    client.force_login(MembershipFactory.create(organization=organization, role="org-viewer").user)
    said = words(client.get(CONSOLE))
    assert "Closes a hole ." in said
    assert "Withdraw" not in said
    assert (client.get(step).status_code, client.post(step, reason).status_code) == (403, 403)

    client.force_login(MembershipFactory.create(organization=organization, role="billing-admin").user)
    assert client.get(CONSOLE).status_code == 403

    client.force_login(stranger)
    assert [client.get(path).status_code for path in (CONSOLE, step, "/apps/books/")] == [404, 404, 404]
    assert client.post(step, reason).status_code == 404
    assert told(own) == []


def test_without_the_database_the_page_says_so(
    admin: Client, own: BlueprintVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_arguments: object) -> None:
        raise OperationalError

    monkeypatch.setattr("billing.views.blueprints.own_blueprint", gone)

    assert "We couldn't load this." in words(admin.get(CONSOLE), 503).replace("&#x27;", "'")


def test_pages_speak_arabic(admin: Client, own: BlueprintVersion, sovereign: Sovereign) -> None:
    said = words(admin.get("/ar/apps/books/"))

    assert "الإصدارات والتغييرات" in said
