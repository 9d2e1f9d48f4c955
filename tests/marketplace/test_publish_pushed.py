"""From ``git push`` to the shelf: three people, and nobody waves the own work through."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from marketplace.models import BlueprintVersion
from marketplace.selectors.catalogue import list_cards
from marketplace.services.blueprint_publication import publish_version
from marketplace.services.blueprint_versions import OwnSubmission, submit_version
from tenancy.models import Organization, Sovereign
from tests.marketplace.catalogue_rows import a_person
from tests.marketplace.push_desk import NAME, PushDesk, blueprint_files, open_push_desk

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_pushed_draft_is_published_by_somebody_else(
    sovereign: Sovereign, organization: Organization, catalyst_home: Any, live_server: Any, tmp_path: Path
) -> None:
    open_push_desk(live_server.url, tmp_path / "other", organization)
    author, submitter, reviewer = (a_person(staff_role="sovereign-admin") for _each in range(3))
    desk = PushDesk(live_server.url, tmp_path / "work", author, f"catalog-sovereign/{NAME}")
    commit = desk.commit(blueprint_files(visibility="listed"), below="")
    desk.push()
    version = BlueprintVersion.objects.get(blueprint__name=NAME)
    submit_version(version_id=version.pk, actor=submitter)
    now = timezone.now()

    for person in (author, submitter):
        with pytest.raises(OwnSubmission):
            publish_version(version_id=version.pk, actor=person, now=now)
    assert NAME not in [card.name for card in list_cards(currency="OMR", at=now)]
    publish_version(version_id=version.pk, actor=reviewer, now=now)

    version.refresh_from_db()
    assert (version.state, version.commit) == ("published", commit)
    assert [card.latest_version for card in list_cards(currency="OMR", at=now) if card.name == NAME] == ["1.0.0"]
