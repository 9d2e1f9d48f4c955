"""Creating an Organization."""

from datetime import UTC, datetime
from typing import Any

import pytest

from catalyst.core.models import Outbox
from tenancy.models import AuditEntry, Membership, Organization
from tenancy.services.organizations import create_organization
from tenancy.services.slugs import SlugInvalid, SlugReserved, SlugTaken, suggest_slugs
from tests.factories import OrganizationFactory, UserFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def test_makes_the_creator_its_administrator() -> None:
    creator = UserFactory.create()

    organization = create_organization(slug="muscat-bakery", name="Muscat Bakery", creator=creator, now=NOW)

    membership = Membership.objects.get(organization=organization)
    assert (membership.user, membership.role, membership.env_types) == (creator, "org-admin", None)
    assert organization.created_at == NOW


def test_writes_audit_rows_and_one_event() -> None:
    creator = UserFactory.create()

    organization = create_organization(slug="muscat-bakery", name="Muscat Bakery", creator=creator, now=NOW)

    stream = f"organization:{organization.pk}"
    trail = AuditEntry.objects.filter(stream=stream).order_by("seq").values_list("seq", "actor", "action")
    actor = f"user:{creator.uuid}"
    assert list(trail) == [(1, actor, "organization.created"), (2, actor, "membership.granted")]
    event = Outbox.objects.get()
    assert (event.topic, event.stream, event.sequence) == ("organization.created", stream, None)
    assert event.payload == {"organization": "muscat-bakery", "organization_id": organization.pk, "status": "ready"}


@pytest.mark.parametrize(
    "slug",
    ["", "ab", "a" * 33, "1abc", "-abc", "abc-", "a--b", "Abc", "abc\n", "a_b", "ab.c", "محل", "abc "],
)
def test_refuses_a_slug_that_breaks_the_rule(slug: Any) -> None:
    with pytest.raises(SlugInvalid) as refusal:
        create_organization(slug=slug, name="X", creator=UserFactory.create(), now=NOW)

    assert (refusal.value.code, refusal.value.status) == ("slug_invalid", 422)
    assert Organization.objects.count() == Outbox.objects.count() == AuditEntry.objects.count() == 0


@pytest.mark.parametrize(
    "slug", ["admin", "kube-system", "acme-prod", "acme-poc", "oci", "fsn", "rtz", "prod", "redeem"]
)
def test_refuses_a_reserved_slug(slug: Any) -> None:
    with pytest.raises(SlugReserved) as refusal:
        create_organization(slug=slug, name="X", creator=UserFactory.create(), now=NOW)

    assert (refusal.value.code, refusal.value.status) == ("slug_reserved", 422)
    assert Organization.objects.count() == 0


def test_refuses_a_taken_slug() -> None:
    OrganizationFactory.create(slug="acme")

    with pytest.raises(SlugTaken) as refusal:
        create_organization(slug="acme", name="X", creator=UserFactory.create(), now=NOW)

    assert (refusal.value.code, refusal.value.status) == ("slug_taken", 409)
    assert Organization.objects.count() == 1
    assert Membership.objects.count() == Outbox.objects.count() == AuditEntry.objects.count() == 0


def test_suggests_free_slugs() -> None:
    OrganizationFactory.create(slug="muscat-bakery")

    assert suggest_slugs("Muscat Bakery") == ["muscat-bakery-2", "muscat-bakery-3", "muscat-bakery-4"]
    assert suggest_slugs("مخبز مسقط") == ["my-company", "my-company-2", "my-company-3"]
