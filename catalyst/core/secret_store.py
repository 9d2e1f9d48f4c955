"""The secret store: one entry of texts at a path, read and written with a version, and nothing else.

The driver speaks the HTTP API of the key-value engine, version 2, which OpenBao and HashiCorp Vault share. A write
names the version that it replaces, so two writers never lose what the other one wrote. No text of an entry appears in
an error, a log or a representation.

Source: OpenBao API, "KV secrets engine - version 2 (API)" for data, ``cas`` and versions that are deleted (404 with
their metadata); "AppRole auth method (API)" for the login; "HTTP API" for X-Vault-Token, X-Vault-Namespace and the
status codes 400, 403, 404 and 503 (sealed).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol
from urllib.parse import quote

import requests
from django.conf import settings
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError, Unavailable

#: Seconds to connect, and between two bytes of an answer. Nobody waits for it at a page.
_TIMEOUT: Final = (3.0, 5.0)
_LARGEST_ANSWER: Final = 1024 * 1024
_CONFLICT: Final = "check-and-set"
_KINDS: Final = frozenset({"", "openbao"})


class SecretStoreUnreachable(Unavailable):
    """The store did not answer, or not as its API says. Whether a write took place is unknown."""

    code = "secret_store_unreachable"


class SecretStoreSealed(Unavailable):
    """The store is there and locked: a person must unseal it."""

    code = "secret_store_sealed"


class SecretStoreRefused(DomainError):
    """The store knows us and does not let us do this: its policy, our login, or the place of the engine is wrong."""

    code = "secret_store_refused"
    status = HTTPStatus.BAD_GATEWAY


class EntryChanged(DomainError):
    """The entry has another version than the one that was to be replaced. Read it again."""

    code = "secret_entry_changed"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands at a path. ``version`` 0: nothing ever did; with a version and no data it was deleted."""

    data: Mapping[str, Any] = field(repr=False)
    version: int


class SecretStore(Protocol):
    """What the platform needs of a secret store."""

    def read(self, path: str) -> Entry:
        """Return the newest entry of a path; without data when there is none."""

    def write(self, path: str, data: Mapping[str, Any], *, expected: int) -> int:
        """Replace version ``expected`` (0: nothing) by this entry and return the new version.

        :raises EntryChanged: another version stands there.
        """


@dataclass(frozen=True, slots=True)
class Login:
    """How we show who we are: a token, a file that holds one and may change, or an AppRole."""

    token: str = field(default="", repr=False)
    token_file: str = ""
    role_id: str = ""
    secret_id: str = field(default="", repr=False)


class KeyValueStore:
    """The driver. Each call may raise ``SecretStoreUnreachable``, ``SecretStoreSealed`` or ``SecretStoreRefused``."""

    def __init__(self, url: str, login: Login, *, mount: str, namespace: str = "", ca_file: str = "") -> None:
        self._url, self._login = url.rstrip("/"), login
        self._mount, self._namespace, self._ca_file = mount.strip("/"), namespace, ca_file
        self._lent = ""
        self._lock = Lock()

    def read(self, path: str) -> Entry:
        status, body = self._call("GET", self._data_path(path))
        held = _mapping(body.get("data"))
        version = _mapping(held.get("metadata")).get("version", 0)
        if status == HTTPStatus.NOT_FOUND:
            # Nothing was ever written, or the newest version is deleted: then its number still counts.
            return Entry({}, version if isinstance(version, int) else 0)
        data = held.get("data")
        if status != HTTPStatus.OK or not isinstance(version, int) or not isinstance(data, dict):
            raise _unexpected(status)
        return Entry(data, version)

    def write(self, path: str, data: Mapping[str, Any], *, expected: int) -> int:
        body = {"options": {"cas": expected}, "data": dict(data)}
        status, answer = self._call("POST", self._data_path(path), body)
        if status == HTTPStatus.BAD_REQUEST and any(_CONFLICT in said for said in _errors(answer)):
            raise EntryChanged(_("This entry of the secret store was changed meanwhile. It is read again."))
        version = _mapping(answer.get("data")).get("version")
        if status != HTTPStatus.OK or not isinstance(version, int):
            raise _unexpected(status)
        return version

    def _data_path(self, path: str) -> str:
        parts = path.split("/")
        if not all(parts) or ".." in parts:
            raise ValueError("a path of the secret store has neither empty parts nor ..")
        return f"{self._mount}/data/{quote(path)}"

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Mapping[str, Any]]:
        """Ask once, and with an AppRole once more under a new token: the old one may have ended."""
        token = self._token()
        status, answer = self._send(method, path, body, token)
        if status == HTTPStatus.FORBIDDEN and self._login.role_id:
            status, answer = self._send(method, path, body, self._borrow(instead_of=token))
        if status == HTTPStatus.FORBIDDEN:
            raise SecretStoreRefused(_("The secret store does not let the platform in. Our staff have been told."))
        return status, answer

    def _token(self) -> str:
        login = self._login
        if login.role_id:
            return self._lent or self._borrow(instead_of="")
        if not login.token_file:
            return login.token
        try:
            return Path(login.token_file).read_text().strip()
        except OSError:
            raise SecretStoreRefused(
                _("The platform has no key to the secret store. Our staff have been told.")
            ) from None

    def _borrow(self, *, instead_of: str) -> str:
        with self._lock:
            if self._lent == instead_of:
                body = {"role_id": self._login.role_id, "secret_id": self._login.secret_id}
                status, answer = self._send("POST", "auth/approle/login", body, "")
                token = _mapping(answer.get("auth")).get("client_token")
                if status != HTTPStatus.OK or not isinstance(token, str):
                    raise SecretStoreRefused(
                        _("The secret store does not let the platform in. Our staff have been told.")
                    )
                self._lent = token
            return self._lent

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, token: str
    ) -> tuple[int, Mapping[str, Any]]:
        headers = {"X-Vault-Request": "true"}
        headers |= {"X-Vault-Token": token} if token else {}
        headers |= {"X-Vault-Namespace": self._namespace} if self._namespace else {}
        try:
            with requests.Session() as session:
                # No proxy, no netrc: the environment of a process does not decide where secrets go.
                session.trust_env = False
                answer = session.request(
                    method,
                    f"{self._url}/v1/{path}",
                    json=body,
                    headers=headers,
                    timeout=_TIMEOUT,
                    verify=self._ca_file or True,
                    # A redirection would carry the token to a place that nobody named.
                    allow_redirects=False,
                    stream=True,
                )
                content = answer.raw.read(_LARGEST_ANSWER + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise _unreachable(type(error).__name__) from None
        return answer.status_code, _read(answer.status_code, content)


def secret_store() -> SecretStore:
    """Return the store that the settings name.

    :raises LookupError: they name none, or one that we do not know; callers ask ``has_secret_store`` first.
    """
    if not has_secret_store():
        raise LookupError("SECRET_STORE is empty.")
    login = Login(
        settings.SECRET_STORE_TOKEN,
        settings.SECRET_STORE_TOKEN_FILE,
        settings.SECRET_STORE_ROLE_ID,
        settings.SECRET_STORE_SECRET_ID,
    )
    return _driver(
        settings.SECRET_STORE_URL,
        login,
        settings.SECRET_STORE_MOUNT,
        settings.SECRET_STORE_NAMESPACE,
        settings.SECRET_STORE_CA_FILE,
    )


def has_secret_store() -> bool:
    """Tell whether the settings name a secret store.

    :raises LookupError: they name one that we have no driver for.
    """
    if settings.SECRET_STORE not in _KINDS:
        raise LookupError(f"SECRET_STORE is {settings.SECRET_STORE!r}; known is openbao, or nothing.")
    return bool(settings.SECRET_STORE)


@lru_cache(maxsize=8)
def _driver(url: str, login: Login, mount: str, namespace: str, ca_file: str) -> KeyValueStore:
    # Kept, because the token of an AppRole is good for many calls.
    return KeyValueStore(url, login, mount=mount, namespace=namespace, ca_file=ca_file)


def _read(status: int, content: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(content) if content and len(content) <= _LARGEST_ANSWER else {}
    except ValueError:
        body = {}
    answer = _mapping(body)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and any("sealed" in said for said in _errors(answer)):
        raise SecretStoreSealed(_("The secret store is locked. Our staff have been told."))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _unreachable(str(status))
    return answer


def _errors(answer: Mapping[str, Any]) -> list[str]:
    errors = answer.get("errors")
    return [str(each) for each in errors] if isinstance(errors, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _unreachable(why: str) -> SecretStoreUnreachable:
    return SecretStoreUnreachable(_("The secret store does not answer. It is tried again."), extra={"why": why})


def _unexpected(status: int) -> SecretStoreRefused:
    text = _("The secret store answered in a way that the platform does not know (%(status)d).")
    return SecretStoreRefused(text % {"status": status})
