"""Error pages stand on their own: no database, no session, both languages, help at the same place."""

import pytest
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import translation

PAGES = ["400", "403", "403_csrf", "404", "410", "429", "500", "503"]


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("page", PAGES)
def test_renders_without_a_database(page: str, language: str) -> None:
    with translation.override(language):
        html = render_to_string(f"{page}.html", {"reference": "7F3K", "request": RequestFactory().get("/plans/")})

    assert f'<html lang="{language}"' in html
    assert '<bdi dir="ltr">7F3K</bdi>' in html
    assert "/help/" in html
    assert page[:3] in html
