"""The console says that Applications are paused, why, and that they are being removed, in the viewer's language."""

import pytest
from django.test import Client

from marketplace.models import ApplicationStatus, Change
from tenancy.models import Environment, User
from tests.billing.shop import Shop
from tests.marketplace.policy_rows import NOW, environment_of
from tests.pages.test_console import APPS, application, page

pytestmark = pytest.mark.django_db(transaction=True)


def paused(shop: Shop) -> Environment:
    """Show an Application as paused, in an Environment of its own."""
    environment = environment_of(shop.organization)
    application(shop, "wordpress", status="paused", url="https://wordpress.example.om")
    ApplicationStatus.objects.update(environment_id=environment.pk)
    return environment


def test_a_paused_application_says_why_and_that_its_data_is_kept(shop: Shop, client: Client) -> None:
    environment = paused(shop)
    Change.objects.create(
        organization=shop.organization,
        environment=environment,
        kind="pause",
        state="succeeded",
        seq=1,
        log_sequence=1,
        commit="b" * 40,
        committed_at=NOW,
        finished_at=NOW,
    )
    client.force_login(shop.buyer)

    html = page(client, APPS)

    assert "Paused" in html
    assert "Nothing runs while your subscription is suspended. Your data is kept." in html
    assert 'href="https://wordpress.example.om"' not in html
    assert 'hx-trigger="every 5s"' not in html  # nothing will happen by itself


def test_what_a_person_paused_does_not_ask_for_money(shop: Shop, client: Client) -> None:
    paused(shop)
    client.force_login(shop.buyer)

    html = page(client, APPS)

    assert "Somebody paused it. Its data is kept." in html
    assert "Pay what is due" not in html


@pytest.mark.parametrize(("status", "word"), [("updating", "Updating"), ("deleting", "Removing")])
def test_what_is_under_way_is_followed(shop: Shop, client: Client, status: str, word: str) -> None:
    application(shop, "wordpress", status=status)
    client.force_login(shop.buyer)

    html = page(client, APPS)

    assert word in html
    assert 'hx-trigger="every 5s"' in html


@pytest.mark.parametrize(("status", "word"), [("paused", "متوقف"), ("deleting", "إزالة")])
def test_the_words_are_arabic_too(shop: Shop, client: Client, status: str, word: str) -> None:
    application(shop, "wordpress", status=status)
    User.objects.filter(pk=shop.buyer.pk).update(language="ar")
    client.force_login(shop.buyer)

    assert word in page(client, APPS)
