"""A private Blueprint before its members, before a stranger of another Organization, and before a visitor: everywhere.

Others get what they get for a name that does not exist, byte for byte.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from catalyst.core import outbox
from catalyst.core.gitops.repository import open_repository
from marketplace.models import Application, Blueprint, Category, Change
from marketplace.selectors.catalogue import get_card, list_cards
from marketplace.selectors.offer import load_offer
from marketplace.services.changes_repository import repository_path
from tenancy.models import Environment, Membership, Organization, User
from tests.billing.shop import Shop, open_shop
from tests.factories import MembershipFactory, OrganizationFactory
from tests.marketplace.catalogue_rows import add_blueprint, add_version
from tests.marketplace.push_desk import blueprint_files, open_push_desk
from tests.marketplace.upgrade_rows import publish

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "bp-zaffre"


@pytest.fixture
def shop(sovereign: Any, organization: Organization, org_admin: User, catalyst_home: Any) -> Shop:
    """A shop of acme, where acme has a Blueprint of its own; nothing else is called Zaffre."""
    cache.clear()
    shop = open_shop(sovereign, organization, org_admin)
    shelf = Category.objects.create(slug="own-shelf", title_en="Own shelf")
    row = add_blueprint("zaffre", price=None, organization=organization, tags=["zaffre-tag"])
    Blueprint.objects.filter(pk=row.pk).update(category=shelf)
    return shop


def browser(user: User | None) -> Client:
    client = Client(raise_request_exception=False)
    if user is not None:
        client.force_login(user)
    return client


def text(response: Any) -> str:
    """Return a page without what differs from one request to the next, and without the name that was asked for."""
    body = re.sub(
        r'(csrfmiddlewaretoken" value|nonce|"request_id"|data-request)="[^"]*"', "", response.content.decode()
    )
    body = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}|[A-Za-z0-9]{64}", "", body)
    return re.sub(r"(?i)zaffre|absent", "", body)


def counts_of_own_shelf(client: Client) -> list[str]:
    page = client.get("/").content.decode()
    return re.findall(r'value="own-shelf"[^>]*>Own shelf<span class="number">(\d+)<', page)


def test_a_member_finds_it_with_its_badge(shop: Shop) -> None:
    client = browser(shop.buyer)

    found = client.get("/?q=zaffre").content.decode()
    assert re.findall(r'<h3><a href="([^"]+)"', found) == ["/apps/zaffre/"]
    assert ">Private</" in found
    detail = client.get("/apps/zaffre/")
    assert (detail.status_code, ">Private</" in detail.content.decode()) == (200, True)
    assert counts_of_own_shelf(client) == ["1"]


@pytest.mark.parametrize("role", [Membership.Role.DEVELOPER, Membership.Role.VIEWER, Membership.Role.BILLING])
def test_every_member_sees_it(shop: Shop, role: str) -> None:
    member = MembershipFactory.create(organization=shop.organization, role=role).user

    assert "/apps/zaffre/" in browser(member).get("/?q=zaffre").content.decode()


def test_nobody_else_sees_it_on_any_page(shop: Shop, stranger: User) -> None:
    for client in (browser(None), browser(stranger)):
        for address in ("/", "/?q=zaffre", "/?category=own-shelf", "/ar/?q=zaffre", "/plans/"):
            page = client.get(address).content.decode()
            assert "/apps/zaffre/" not in page, address
            assert "Zaffre" not in page.replace("Search: zaffre", ""), address
        counts = re.findall(
            r'value="own-shelf"[^>]*>Own shelf<span class="number">(\d+)<', client.get("/").content.decode()
        )
        assert counts in ([], ["0"])
        for address in ("/apps/{}/", "/apps/bp-{}/"):
            private, missing = (client.get(address.format(slug)) for slug in ("zaffre", "absent"))
            assert (private.status_code, missing.status_code) == (404, 404)
            assert text(private) == text(missing)
        private, missing = (client.post("/cart/add/", {"blueprint": slug}) for slug in ("zaffre", "absent"))
        assert private.status_code == missing.status_code == 422
        assert text(private) == text(missing)


def test_nobody_else_sees_it_in_the_api(shop: Shop, stranger: User, api: APIClient, api_as: Any) -> None:
    strange = api_as(stranger)
    for client in (api, strange):
        assert NAME not in client.get("/api/v1/blueprints/?search=zaffre&page_size=100").content.decode()
        private, missing = (client.get(f"/api/v1/blueprints/bp-{slug}/") for slug in ("zaffre", "absent"))
        assert (private.status_code, text(private)) == (404, text(missing))
    for path in ("blueprints/", f"blueprints/{NAME}/", f"blueprints/{NAME}/versions/"):
        assert strange.get(f"/api/v1/organizations/acme/{path}").status_code == 404
        assert api.get(f"/api/v1/organizations/acme/{path}").status_code == 401
    assert NAME not in strange.get("/api/v1/organizations/globex/blueprints/?page_size=100").content.decode()
    for path in ("blueprints/bp-{}/", "blueprints/bp-{}/versions/"):
        answers = [strange.get(f"/api/v1/organizations/globex/{path.format(slug)}") for slug in ("zaffre", "absent")]
        assert [each.status_code for each in answers] == [404, 404]
        assert text(answers[0]) == text(answers[1])


def test_the_members_api_lists_and_shows_it(shop: Shop, api_as: Any) -> None:
    mine = api_as(shop.buyer)

    rows = mine.get("/api/v1/organizations/acme/blueprints/?search=zaffre").json()["results"]
    assert [(row["name"], row["source"], row["private"], row["shadows"], row["installable"]) for row in rows] == [
        (NAME, "org", True, False, True)
    ]
    assert rows[0]["price"] == {"amount": 0, "currency": "OMR"}
    detail = mine.get(f"/api/v1/organizations/acme/blueprints/{NAME}/").json()
    assert (detail["name"], detail["private"], detail["latest_version"]) == (NAME, True, "1.0.0")


def test_quotes_and_checkouts_of_others_do_not_know_it(shop: Shop) -> None:
    other = shop.with_customer("globex").calls()
    for call in (other.quote, other.buy):
        private, missing = call(blueprints=[NAME]), call(blueprints=["bp-absent"])
        assert (private.status_code, private.json()["code"]) == (422, "line_unavailable")
        assert text(private) == text(missing)

    assert shop.calls().quote(blueprints=[NAME]).status_code == 200


def test_a_conflict_of_others_does_not_name_it(shop: Shop) -> None:
    """A public Blueprint needs a name that, for this reader, only somebody else has."""
    edge = {"blueprint": NAME, "version": "^1.0", "alias": "z", "sharing": "shared"}
    public = add_blueprint("needy", depends=[edge])
    other = shop.with_customer("globex").calls()

    refused = other.quote(blueprints=[public.name])
    with_absent = add_version(public, "2.0.0", depends=[{**edge, "blueprint": "bp-absent"}])
    public.versions.exclude(pk=with_absent.pk).update(yanked_at=timezone.now())
    missing = other.quote(blueprints=[public.name])

    assert (refused.json()["code"], missing.json()["code"]) == ("unresolvable", "unresolvable")
    assert re.sub(r"[12]\.0\.0", "", text(refused)) == re.sub(r"[12]\.0\.0", "", text(missing))
    assert "Zaffre" not in refused.content.decode()


def test_a_nearer_name_takes_the_place_for_members_only(shop: Shop, stranger: User) -> None:
    public = add_blueprint("zaffre", price=700)
    Blueprint.objects.filter(pk=public.pk).update(title="Zaffre of the catalogue")
    now = timezone.now()
    other = Organization.objects.get(slug="globex")

    mine, theirs = (get_card(NAME, reader, currency="OMR", at=now) for reader in (shop.organization, other))
    assert (mine.title, mine.price_minor, mine.shadows, mine.is_private) == ("Zaffre", 0, True, True)
    assert (theirs.title, theirs.price_minor, theirs.shadows) == ("Zaffre of the catalogue", 700, False)
    assert "Replaces another app of this name" in browser(shop.buyer).get("/?q=zaffre").content.decode()
    assert "Replaces another app of this name" not in browser(stranger).get("/?q=zaffre").content.decode()
    assert shop.calls().quote(blueprints=[NAME]).json()["total"]["amount"] == 50_000
    assert shop.with_customer("initech").calls().quote(blueprints=[NAME]).json()["total"]["amount"] == 50_700


def test_what_stopped_being_ones_own_is_not_seen_any_more(shop: Shop) -> None:
    member = MembershipFactory.create(organization=shop.organization, role=Membership.Role.VIEWER)
    client = browser(member.user)
    assert client.get("/apps/zaffre/").status_code == 200

    member.delete()

    assert client.get("/apps/zaffre/").status_code == 404


def test_who_belongs_to_several_chooses_for_which_one_it_is_shown(shop: Shop) -> None:
    other = OrganizationFactory.create(slug="aaa-first", name="AAA first")
    MembershipFactory.create(organization=other, user=shop.buyer, role=Membership.Role.ADMIN)
    client = browser(shop.buyer)
    assert client.get("/apps/zaffre/").status_code == 404

    chosen = client.post("/preferences/organization/", {"organization": "acme", "next": "/?q=zaffre"})

    assert (chosen.status_code, chosen.headers["Location"]) == (303, "/?q=zaffre")
    assert client.get("/apps/zaffre/").status_code == 200
    OrganizationFactory.create(slug="foreign", name="Foreign")
    assert client.post("/preferences/organization/", {"organization": "foreign"}).status_code == 404


def test_control_without_the_owner_in_the_query_it_would_be_seen(shop: Shop) -> None:
    now = timezone.now()
    assert NAME in {card.name for card in list_cards(shop.organization, currency="OMR", at=now)}
    assert NAME in load_offer(shop.organization, currency="OMR", at=now).for_sale
    assert NAME not in {card.name for card in list_cards(currency="OMR", at=now)}
    assert NAME not in load_offer(None, currency="OMR", at=now).listings
    assert Blueprint.objects.filter(name=NAME).exists()


def test_who_may_not_buy_is_not_offered_it_in_the_cart(shop: Shop) -> None:
    developer = MembershipFactory.create(organization=shop.organization, role=Membership.Role.DEVELOPER).user

    assert browser(developer).post("/cart/add/", {"blueprint": "zaffre"}).status_code == 422


def test_a_pushed_blueprint_is_bought_from_credit_and_installed_with_its_dependency(
    shop: Shop, live_server: Any, tmp_path: Path
) -> None:
    publish("mysql", "1.0.0", kind="service")
    Category.objects.get_or_create(slug="knowledge-base", defaults={"title_en": "Knowledge base"})
    desk = open_push_desk(live_server.url, tmp_path / "work", shop.organization)
    edge = {"blueprint": "bp-mysql", "version": "^1.0", "alias": "db", "sharing": "shared"}
    desk.commit(blueprint_files(depends=[edge]))
    assert desk.push().returncode == 0
    client = browser(shop.buyer)
    assert ">Private</" in client.get("/?q=handbook").content.decode()

    assert client.post("/cart/add/", {"blueprint": "handbook"}).status_code == 303
    client.post("/cart/add/", {"plan": "m"})
    assert "bp-handbook" in client.get("/checkout/apps/").content.decode()
    assert client.post("/checkout/addons/", {"organization": "acme"}).status_code == 303
    client.post("/checkout/voucher/", {"code": shop.code(shop.voucher(60_000))})
    review = client.get("/checkout/review/").content.decode()
    form = review.partition('action="/checkout/pay/"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'type="hidden" name="(key|quote|charge)" value="([^"]*)"', form))
    paid = client.post("/checkout/pay/", fields)
    assert (paid.status_code, paid.headers["Location"][:8]) == (303, "/orders/")
    outbox.relay_once()
    for delivery_id in outbox.due_deliveries(now=timezone.now(), limit=100):
        outbox.run_delivery(delivery_id=delivery_id, owner="worker")

    environment = Environment.objects.select_related("organization").get(organization=shop.organization)
    commit = Change.objects.get().commit
    tree = open_repository(repository_path(environment)).read_tree(commit)
    assert {path.split("/")[1] for path in tree if path.startswith("apps/")} >= {"handbook", "shared-mysql"}
    installed = Application.objects.get(slug="handbook").blueprint_version.blueprint
    assert (installed.name, installed.source) == ("bp-handbook", "org")
