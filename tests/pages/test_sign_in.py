"""Signing in by e-mailed code: the same two steps for people we know and people we do not."""

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client

from tenancy.models import User
from tests.pages.rows import make_person, make_sovereign

pytestmark = pytest.mark.django_db(transaction=True)

SIGN_IN, CODE = "/account/sign-in/", "/account/sign-in/code/"


@pytest.fixture(autouse=True)
def sovereign() -> None:
    cache.clear()
    make_sovereign()


def ask(client: Client, email: str, **fields: str) -> str:
    """Ask for a code and return the one that was mailed."""
    response = client.post(SIGN_IN, {"email": email, **fields})
    assert response.status_code == 302
    match = re.search(r"(\d{3}) (\d{3})", str(mail.outbox[-1].subject))
    assert match is not None
    return match[1] + match[2]


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_a_known_person_gets_in_with_the_code(client: Client) -> None:
    person = make_person(email="known@example.com")

    response = client.post(CODE, {"code": ask(client, "Known@Example.com ")})

    assert response.status_code == 302
    assert client.session["_auth_user_id"] == str(person.pk)
    assert User.objects.count() == 1


def test_an_unknown_person_exists_only_after_the_code(client: Client) -> None:
    code = ask(client, "new@example.com")
    assert User.objects.count() == 0

    client.post(CODE, {"code": code})

    person = User.objects.get()
    assert (person.email, person.has_usable_password()) == ("new@example.com", False)
    assert client.session["_auth_user_id"] == str(person.pk)


def test_from_outside_known_and_unknown_look_alike() -> None:
    make_person(email="known@example.com")
    answers = []
    for email in ("known@example.com", "other@example.com"):
        client = Client()
        response = client.post(SIGN_IN, {"email": email})
        form = client.get(CODE).content.decode().replace(email, "")
        answers.append((response.status_code, response.headers["Location"], re.sub(r'value="\w{64}"', "", form)))

    assert answers[0] == answers[1]
    assert [re.sub(r"\d", "0", str(each.subject)) for each in mail.outbox] == ["000 000 is your code (00 minutes)"] * 2


def test_three_wrong_codes_end_it_and_the_right_one_comes_too_late(client: Client) -> None:
    code = ask(client, "new@example.com")
    wrong = "000000" if code != "000000" else "111111"

    answers = [client.post(CODE, {"code": wrong}).status_code for _ in range(3)]
    late = client.post(CODE, {"code": code})

    assert answers == [422, 422, 302]
    assert late.headers["Location"] == SIGN_IN
    assert not is_signed_in(client)
    assert User.objects.count() == 0


def test_a_code_works_only_in_the_browser_that_asked(client: Client) -> None:
    code = ask(client, "new@example.com")
    other = Client()

    other.post(CODE, {"code": code})

    assert not is_signed_in(other)


@pytest.mark.parametrize(
    ("target", "landing"),
    [
        ("/plans/?a=1", "/plans/?a=1"),
        ("https://evil.example/", "/console/"),
        ("//evil.example/", "/console/"),
        ("/\\evil.example/", "/console/"),
        ("javascript:alert(1)", "/console/"),
    ],
)
def test_leads_back_only_to_a_page_of_this_site(client: Client, target: str, landing: str) -> None:
    code = ask(client, "new@example.com", next=target)

    response = client.post(CODE, {"code": code, "next": target})

    assert response.headers["Location"] == landing


def test_a_closed_account_does_not_get_in(client: Client) -> None:
    make_person(email="closed@example.com", is_active=False)

    response = client.post(CODE, {"code": ask(client, "closed@example.com")})

    assert response.headers["Location"] == "/account/inactive/"
    assert not is_signed_in(client)


def test_asking_again_and_again_is_stopped(client: Client) -> None:
    for _ in range(3):
        ask(client, "new@example.com")

    response = client.post(SIGN_IN, {"email": "new@example.com"})

    assert response.status_code == 429
    assert len(mail.outbox) == 3


def test_a_malformed_address_is_explained_and_nothing_is_sent(client: Client) -> None:
    response = client.post(SIGN_IN, {"email": "nobody"})

    assert response.status_code == 422
    assert response.content.decode().count("Enter an e-mail address like name@example.com.") == 2
    assert mail.outbox == []


def test_the_mail_is_text_and_html_in_the_page_language(client: Client) -> None:
    client.post("/ar/account/sign-in/", {"email": "new@example.com"})

    message = mail.outbox[0]
    assert isinstance(message, mail.EmailMultiAlternatives)
    html = str(message.alternatives[0][0])
    assert re.fullmatch(r"\d{3} \d{3} هو رمزك \(10 دقائق\)", str(message.subject))
    assert "يعمل لمدة 10 دقائق" in message.body
    assert '<html lang="ar" dir="rtl">' in html
    assert "يعمل لمدة 10 دقائق" in html


def test_signing_out_takes_a_post(client: Client) -> None:
    client.force_login(make_person(), backend="allauth.account.auth_backends.AuthenticationBackend")

    assert client.get("/account/sign-out/").status_code == 405
    assert is_signed_in(client)
    assert client.post("/account/sign-out/").headers["Location"] == "/"
    assert not is_signed_in(client)
