"""The marketplace grid through HTTP: search, facets, pages, what can and what cannot be bought."""

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests.marketplace.catalogue_rows import load_catalogue
from tests.pages.rows import make_sovereign

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shop() -> None:
    make_sovereign()
    load_catalogue()


def page(client: Client, address: str, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def titles(html: str) -> list[str]:
    return re.findall(r'<h3><a href="[^"]+"><bdi lang="en">([^<]+)</bdi>', html)


def test_shows_24_cards_and_links_to_the_rest(client: Client) -> None:
    first, second = page(client, "/"), page(client, "/?page=2")

    assert len(titles(first)) == 24
    assert len(titles(second)) == 3
    assert '<a class="button" rel="next" href="?page=2">' in first
    assert "27 apps" in first


def test_search_finds_by_words_and_says_how_many(client: Client) -> None:
    html = page(client, "/?q=password+vault")

    assert titles(html) == ["Vaultwarden"]
    assert "1 app" in html


def test_no_match_names_the_search_and_offers_a_way_out(client: Client) -> None:
    html = page(client, "/?q=%3Cscript%3Ezzz")

    assert titles(html) == []
    assert "No app matches “&lt;script&gt;zzz”" in html
    assert "Clear filters" in html


def test_any_within_a_facet_and_all_across_facets(client: Client) -> None:
    html = page(client, "/?category=cms&category=analytics&availability=now")

    assert titles(html) == ["WordPress", "Ghost", "Umami"]


def test_counts_leave_the_own_facet_out_of_account(client: Client) -> None:
    html = page(client, "/?category=cms")

    assert re.search(r'id="category-analytics"[^>]*>Analytics<span class="number">1</span>', html)
    assert re.search(r'id="availability-now"[^>]*>Available<span class="number">2</span>', html)


def test_coming_soon_has_a_badge_and_no_button(client: Client) -> None:
    html = page(client, "/?q=immich")

    assert titles(html) == ["Immich"]
    assert '<span class="badge">Coming soon</span>' in html
    assert 'name="blueprint"' not in html


def test_sorts_by_name(client: Client) -> None:
    shown = titles(page(client, "/?sort=name"))

    assert shown[:3] == ["BookStack", "Cal.com", "Chatwoot"]


def test_htmx_gets_only_what_changes(client: Client) -> None:
    html = page(client, "/?q=gitea", **{"HX-Request": "true"})

    assert html.lstrip().startswith('<div id="catalogue"')
    assert titles(html) == ["Gitea"]


def test_arabic_has_its_own_address_direction_and_words(client: Client) -> None:
    word = "%D9%85%D9%88%D9%82%D8%B9"

    html = page(client, f"/ar/?q={word}")

    assert '<html lang="ar" dir="rtl">' in html
    assert f'href="/?q={word}" lang="en" hreflang="en"' in html
    assert "Umami" in titles(html)


def test_asks_few_questions(client: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_max_num_queries(12):
        page(client, "/")


@pytest.mark.parametrize("address", ["/plans/", "/apps/wordpress/", "/bundles/starter-pack/", "/help/"])
@pytest.mark.parametrize("prefix", ["", "/ar"])
def test_every_public_page_answers_in_both_languages(client: Client, prefix: str, address: str) -> None:
    assert "<h1>" in page(client, prefix + address)


@pytest.mark.parametrize("address", ["/apps/nothing/", "/bundles/nothing/", "/nothing/"])
def test_what_does_not_exist_is_one_and_the_same_page(client: Client, address: str) -> None:
    response = client.get(address)

    assert response.status_code == 404
    assert "There is no such page" in response.content.decode()
