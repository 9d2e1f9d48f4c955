"""Instances out of plain SQL are the ones that the ORM would have loaded."""

import pytest

from catalyst.core.database import fetch_one
from catalyst.core.rows import Rows
from tenancy.models import Membership, User
from tests import factories

pytestmark = pytest.mark.django_db


def read_user(pk: int) -> User:
    rows = Rows(User)
    row = fetch_one(f"SELECT {rows.columns('u')} FROM tenancy_user AS u WHERE u.id = %s", [pk], prepared=True)
    assert row is not None
    return rows.read(row)


def test_has_the_same_fields_and_state() -> None:
    loaded = User.objects.get(pk=factories.UserFactory.create(staff_groups=["a"]).pk)

    read = read_user(loaded.pk)

    assert read == loaded
    assert {name: value for name, value in vars(read).items() if name != "_state"} == {
        name: value for name, value in vars(loaded).items() if name != "_state"
    }
    assert vars(read._state) == vars(loaded._state) == {"db": "default", "adding": False}


def test_can_be_changed_saved_and_followed() -> None:
    user = read_user(factories.UserFactory.create().pk)

    user.display_name = "Changed"
    user.save(update_fields=["display_name"])
    user.refresh_from_db()

    assert user.display_name == "Changed"
    assert list(user.memberships.all()) == []


def test_follows_a_foreign_key() -> None:
    membership = factories.MembershipFactory.create()
    rows = Rows(Membership)
    row = fetch_one(f"SELECT {rows.columns('m')} FROM tenancy_membership AS m", prepared=True)
    assert row is not None

    assert rows.read(row).organization == membership.organization
