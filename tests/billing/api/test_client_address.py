"""Whose address counts: only what trusted proxies wrote."""

from typing import Any

import pytest
from django.test import RequestFactory

from catalyst.core.http.address import client_address

REMOTE = "198.51.100.9"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "192.0.2.1", REMOTE),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "10.9.8.7, 192.0.2.1", "192.0.2.1"),
        (2, "10.9.8.7, 192.0.2.1, 203.0.113.5", "192.0.2.1"),
        (2, "192.0.2.1", "192.0.2.1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "not an address", REMOTE),
        (1, "", REMOTE),
    ],
)
def test_believes_as_many_hops_as_are_trusted(proxies: int, forwarded: str, expected: str, settings: Any) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies

    request = RequestFactory().get("/", REMOTE_ADDR=REMOTE, headers={"X-Forwarded-For": forwarded})

    assert client_address(request) == expected
