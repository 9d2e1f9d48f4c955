"""Organizations as a read table: folded from their events alone."""

from typing import Any

import pytest
from django.utils import timezone

from catalyst.core import outbox
from catalyst.core.projections import run_projectors
from tenancy.models import OrganizationSummary
from tenancy.services.environments import create_environment
from tenancy.services.organization_life import resume_organization, suspend_organization
from tenancy.services.organizations import create_organization
from tests.factories import UserFactory
from tests.rebuilding import assert_rebuilds_equal

pytestmark = pytest.mark.django_db(transaction=True)


def test_follows_the_life_of_an_organization(sovereign: Any) -> None:
    now, user = timezone.now(), UserFactory.create()
    organization = create_organization(slug="acme", name="Acme", creator=user, now=now)
    for env_type in ("dev", "prod"):
        create_environment(organization=organization, env_type=env_type, actor=user, now=now)
    suspend_organization(organization_id=organization.pk, reason="Not paid.", actor=user, now=now)
    outbox.relay_once()
    run_projectors()

    row = OrganizationSummary.objects.get()
    assert (row.organization_id, row.slug, row.state, row.state_reason, row.environments) == (
        organization.pk,
        "acme",
        "suspended",
        "Not paid.",
        2,
    )
    resume_organization(organization_id=organization.pk, actor=user, now=now)
    (told,) = assert_rebuilds_equal()["OrganizationSummary"]
    assert (told["state"], told["state_reason"]) == ("active", "")
