"""Who sees which card: two Organizations and an anonymous visitor, on list and detail."""

from typing import Any

import pytest

from catalyst.core.errors import NotFound
from marketplace.models import Blueprint, Price
from marketplace.selectors.catalogue import BlueprintCard, get_blueprint, get_card, list_cards
from tenancy.models import Organization
from tests.marketplace.catalogue_rows import NOW, add_blueprint, add_version, load_catalogue

pytestmark = pytest.mark.django_db


def cards(organization: Organization | None = None, **wanted: Any) -> list[BlueprintCard]:
    return list_cards(organization, currency="OMR", at=NOW, **wanted)


def names(organization: Organization | None = None, **wanted: Any) -> list[str]:
    return [card.name for card in cards(organization, **wanted)]


def card(name: str, organization: Organization | None = None) -> BlueprintCard:
    return get_card(name, organization, currency="OMR", at=NOW)


@pytest.fixture
def acme() -> Organization:
    return Organization.objects.create(slug="acme", name="Acme")


@pytest.fixture
def rival() -> Organization:
    return Organization.objects.create(slug="rival", name="Rival")


def test_lists_all_27_and_no_service() -> None:
    load_catalogue()

    found = cards()
    assert len(found) == 27
    assert {each.kind for each in found} == {"application"}
    assert [each.name for each in found if each.is_installable] == [
        "bp-wordpress", "bp-ghost", "bp-nextcloud", "bp-nocodb", "bp-umami", "bp-cal-com", "bp-uptime-kuma",
        "bp-vaultwarden", "bp-invoiceshelf", "bp-listmonk", "bp-gitea", "bp-bookstack", "bp-formbricks",
    ]  # fmt: skip


def test_coming_soon_is_shown_and_never_installable() -> None:
    load_catalogue()

    twenty = card("bp-twenty")
    assert (twenty.state, twenty.is_installable, twenty.latest_version) == ("soon", False, None)
    assert twenty.title == "Twenty"


def test_folder_gives_card_texts_and_icon() -> None:
    load_catalogue()

    umami = card("umami")
    assert (umami.title, umami.category, umami.latest_version, umami.price_minor) == ("Umami", "analytics", "1.0.0", 0)
    assert umami.icon.startswith("<svg ")
    assert umami.related == ("wordpress", "ghost", "medusa")


def test_without_a_price_nothing_can_be_added() -> None:
    add_blueprint("shop", price=None)

    assert (card("bp-shop").price_minor, card("bp-shop").is_installable) == (None, False)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"search": "wordpress"}, ["bp-wordpress"]),
        ({"search": "password TEAM"}, ["bp-vaultwarden"]),
        ({"search": "احصاءات"}, ["bp-umami"]),
        ({"search": "no such words"}, []),
        ({"category": "forms"}, ["bp-formbricks"]),
        ({"category": "nowhere"}, []),
        ({"tag": "git"}, ["bp-gitea"]),
        ({"tag": "gi"}, []),
        ({"category": "cms", "search": "newsletter"}, ["bp-ghost"]),
    ],
)
def test_filters(wanted: dict[str, Any], expected: list[str]) -> None:
    load_catalogue()

    assert names(**wanted) == expected


def test_missing_arabic_keeps_a_card_out_of_the_arabic_marketplace() -> None:
    load_catalogue()
    Blueprint.objects.filter(name="bp-umami").update(tagline_ar="")

    assert "bp-umami" in names()
    assert "bp-umami" not in names(language="ar")
    assert len(names(language="ar")) == 26


def test_private_card_is_for_its_members_only(acme: Organization, rival: Organization) -> None:
    add_blueprint("ledger", organization=acme, tagline_en="Secret books")

    assert names(acme) == ["bp-ledger"]
    for stranger in (rival, None):
        assert names(stranger) == []
        assert names(stranger, search="ledger") == []
        with pytest.raises(NotFound) as foreign:
            card("bp-ledger", stranger)
        with pytest.raises(NotFound) as missing:
            card("bp-missing", stranger)
        assert foreign.value.message == missing.value.message


def test_unlisted_is_found_by_exact_name_only() -> None:
    add_blueprint("quiet", visibility="unlisted")

    assert names() == []
    assert names(search="quiet") == []
    assert card("bp-quiet").title == "Quiet"
    assert card("bp-quiet").is_installable is False


def test_draft_of_the_sovereign_is_hidden(acme: Organization) -> None:
    add_blueprint("draft", source="sovereign", visibility="private")

    for reader in (acme, None):
        assert names(reader) == []
        with pytest.raises(NotFound):
            card("bp-draft", reader)


def test_nearest_source_owns_a_name_wholly(acme: Organization, rival: Organization) -> None:
    add_blueprint("wiki", version="3.0.0")
    add_blueprint("wiki", version="1.0.0", organization=acme, price=None)

    assert (card("bp-wiki", acme).source, card("bp-wiki", acme).latest_version) == ("org", "1.0.0")
    assert (card("bp-wiki", rival).source, card("bp-wiki", rival).latest_version) == ("public", "3.0.0")
    assert names(acme) == ["bp-wiki"]


def test_retired_is_gone() -> None:
    add_blueprint("old", retired_at=NOW)

    assert names() == []
    with pytest.raises(NotFound):
        card("bp-old")


def test_latest_version_is_the_newest_release_that_is_not_yanked() -> None:
    row = add_blueprint("shop", version="1.9.0")
    for text in ("1.10.0", "1.11.0", "2.0.0-rc.1"):
        add_version(row, text)
    row.versions.filter(version="1.11.0").update(yanked_at=NOW)

    detail = get_blueprint("bp-shop", currency="OMR", at=NOW)

    assert detail.card.latest_version == "1.10.0"
    assert [(each.version, each.is_yanked) for each in detail.versions] == [
        ("2.0.0-rc.1", False),
        ("1.11.0", True),
        ("1.10.0", False),
        ("1.9.0", False),
    ]


def test_shows_the_price_of_the_moment() -> None:
    add_blueprint("shop", price=2000)
    Price.objects.create(
        kind="blueprint", reference="bp-shop", currency_id="OMR", amount_minor=3000, valid_from=NOW.replace(year=2027)
    )

    assert card("bp-shop").price_minor == 2000


def test_detail_shows_the_contract_of_the_newest_version() -> None:
    load_catalogue()

    detail = get_blueprint("bp-wordpress", currency="OMR", at=NOW)

    assert set(detail.config_schema["properties"]) == {"hostname", "adminEmail", "title"}
    assert detail.depends == ({"blueprint": "bp-mysql", "version": "^1.0", "alias": "db", "sharing": "shared"},)
    assert detail.placement["modes"] == ["single-region"]
    assert detail.description_en.startswith("WordPress runs websites")


def test_list_takes_one_statement(django_assert_num_queries: Any) -> None:
    load_catalogue()

    with django_assert_num_queries(1):
        cards()
