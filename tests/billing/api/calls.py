"""The endpoints of one Organization, called as a client of the API calls them."""

import uuid
from dataclasses import dataclass
from typing import Any

from rest_framework.test import APIClient

SELECTION = {"plan": "m", "blueprints": ["bp-wordpress"]}


def omr(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "OMR"}


@dataclass(frozen=True)
class Calls:
    """``http`` is the signed-in client, ``slug`` the Organization it asks for."""

    http: APIClient
    slug: str

    def url(self, path: str) -> str:
        return f"/api/v1/organizations/{self.slug}/{path}"

    def get(self, path: str) -> Any:
        return self.http.get(self.url(path))

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.http.post(self.url(path), body if body is not None else {}, format="json", headers=headers)

    def quote(self, **changes: Any) -> Any:
        return self.post("quotes/", {**SELECTION, **changes})

    def buy(self, key: str = "", **changes: Any) -> Any:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return self.post("checkouts/", {**SELECTION, **changes}, **headers)


def refusal(response: Any) -> tuple[int, str]:
    """Return status and code of a problem document, checking its shape."""
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == f"/problems/{body['code']}"
    assert body["status"] == response.status_code
    return response.status_code, body["code"]
