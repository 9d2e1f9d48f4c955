"""Theme and language are kept by the server, so that the next page is drawn right at once."""

import pytest
from django.test import Client

from tests.pages.rows import make_person, make_sovereign

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def sovereign() -> None:
    make_sovereign()


def test_the_theme_is_on_the_next_page(client: Client) -> None:
    response = client.post("/preferences/theme/", {"theme": "dark", "next": "/help/"})

    assert (response.status_code, response.headers["Location"]) == (303, "/help/")
    assert '<html lang="en" dir="ltr" data-theme="dark">' in client.get("/help/").content.decode()


def test_an_unknown_theme_changes_nothing(client: Client) -> None:
    response = client.post("/preferences/theme/", {"theme": '"><b>', "next": "/help/"})

    assert response.status_code == 400
    assert "theme" not in client.cookies


def test_a_forged_cookie_counts_as_no_choice(client: Client) -> None:
    client.cookies["theme"] = '"><b>'

    assert '<html lang="en" dir="ltr">' in client.get("/help/").content.decode()


def test_the_language_is_kept_for_the_person(client: Client) -> None:
    person = make_person()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")

    response = client.post("/preferences/language/", {"language": "ar", "next": "//evil.example"})

    person.refresh_from_db()
    assert (response.headers["Location"], person.language) == ("/", "ar")


def test_the_switch_keeps_path_and_query(client: Client) -> None:
    html = client.get("/plans/?from=mail").content.decode()

    assert 'href="/ar/plans/?from=mail" lang="ar" hreflang="ar"' in html


def test_the_switch_of_a_person_is_kept_for_the_console_with_path_query_and_cart(client: Client) -> None:
    person = make_person()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    client.get("/plans/?from=mail")
    browser = {name: cookie.value for name, cookie in client.cookies.items()}
    html = client.get("/plans/?from=mail").content.decode()

    response = client.post("/preferences/language/", {"language": "ar", "next": "/ar/plans/?from=mail"})

    person.refresh_from_db()
    assert '<input type="hidden" name="next" value="/ar/plans/?from=mail">' in html
    assert 'name="language" value="ar" lang="ar"' in html
    assert (response.status_code, response.headers["Location"], person.language) == (303, "/ar/plans/?from=mail", "ar")
    assert {name: client.cookies[name].value for name in browser} == browser
    assert '<html lang="ar" dir="rtl"' in client.get("/console/").content.decode()
    back = client.get("/ar/plans/?from=mail").content.decode()
    assert '<input type="hidden" name="next" value="/plans/?from=mail">' in back


@pytest.mark.parametrize(("role", "is_shown"), [("", False), ("support-agent", True)])
def test_only_staff_see_the_way_to_the_administration(client: Client, role: str, is_shown: bool) -> None:
    client.force_login(make_person(staff_role=role), backend="allauth.account.auth_backends.AuthenticationBackend")

    assert ('href="/admin/"' in client.get("/help/").content.decode()) is is_shown
