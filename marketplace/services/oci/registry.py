"""The few requests of the OCI distribution API that publishing and mirroring need, each with its limits.

What a registry says is untrusted: every body has a size and a time limit, what is asked for by digest must have that
digest, and redirects and cookies are not followed. So a registry can refuse us, and it can do nothing else.

Source: OCI distribution specification 1.0, "Pull", "Push", "Content discovery"; security.md S31 to S35 of the design.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from django.utils.translation import gettext as _
from requests.utils import DEFAULT_CA_BUNDLE_PATH, parse_header_links
from urllib3 import BaseHTTPResponse, PoolManager, Timeout, make_headers
from urllib3.exceptions import HTTPError

from catalyst.core.errors import DomainError
from marketplace.services.oci.artifact import MANIFEST, MAX_MANIFEST, ArtifactRefused, digest_of, read_json

_LOCATION = re.compile(
    r"(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?)"
    r"(?P<path>(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*){0,8})"
)
_LOCAL = frozenset({"localhost", "127.0.0.1"})
_MAX_LIST = 4 * 1024 * 1024
_PAGE = 1000
_MAX_PAGES = 100
_TIMEOUT = Timeout(connect=5.0, read=10.0)
#: Connections that are kept open, for as many readers at once.
_CONNECTIONS = 8
#: Seconds for one body, however slowly it drips.
_BODY_SECONDS = 30.0


class LocationRefused(DomainError):
    code = "registry_location_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class RegistryUnavailable(DomainError):
    """The registry did not answer as the API says. Trying again may help; nothing was taken from it."""

    code = "registry_unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Location:
    """A registry and the folder of repositories in it: ``registry.example.om/catalog``. No scheme, no tag."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}" if self.path else self.host

    def repository(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name


def read_location(text: str) -> Location:
    """Read where Blueprints lie.

    :raises LocationRefused: a scheme, a tag, capital letters, or anything but a host and a path.
    """
    match = _LOCATION.fullmatch(text) if len(text) <= 200 else None
    if match is None:
        raise LocationRefused(_("Write the place like registry.example.om/catalog: a host and a path, no https://."))
    return Location(match["host"], match["path"].lstrip("/"))


def read_login(file: Path | None) -> tuple[str, str] | None:
    """Read user and password from the first line of a file, ``user:password``; None without a file.

    :raises LocationRefused: there is no such line.
    """
    if file is None:
        return None
    try:
        user, colon, password = file.read_text(encoding="utf-8").split("\n", maxsplit=1)[0].strip().partition(":")
    except (OSError, UnicodeDecodeError):
        user = colon = password = ""
    if not colon:
        raise LocationRefused(_("Write one line user:password into the login file."))
    return user, password


@dataclass
class Registry:
    """One registry over HTTPS; a registry of this machine over plain HTTP, as container tools do.

    ``login`` is (user, password) for basic authentication.
    """

    host: str
    login: tuple[str, str] | None = None
    _pool: PoolManager = field(init=False, repr=False)

    def __post_init__(self) -> None:
        scheme = "http" if self.host.partition(":")[0] in _LOCAL else "https"
        self._base = f"{scheme}://{self.host}/"
        # This one knows no cookies, no proxy of the environment and no .netrc of whoever runs us.
        self._pool = PoolManager(
            maxsize=_CONNECTIONS, timeout=_TIMEOUT, cert_reqs="CERT_REQUIRED", ca_certs=DEFAULT_CA_BUNDLE_PATH
        )
        basic = make_headers(basic_auth=":".join(self.login)) if self.login else {}
        self._headers = {"Accept-Encoding": "identity", **basic}

    def repositories(self, path: str) -> Iterator[str]:
        """List the names of the repositories directly in this folder."""
        start = f"{path}/" if path else ""
        for name in self._list(f"v2/_catalog?n={_PAGE}", "repositories"):
            if name.startswith(start) and "/" not in name[len(start) :]:
                yield name[len(start) :]

    def tags(self, repository: str) -> list[str]:
        """List the tags of a repository; none when it does not exist."""
        return list(self._list(f"v2/{repository}/tags/list?n={_PAGE}", "tags"))

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """Fetch the bytes of a manifest by tag or digest; None when there is none.

        :raises ArtifactRefused: it is larger than a manifest may be, or it was asked for by a digest it has not.
        """
        reply = self._send("GET", f"v2/{repository}/manifests/{reference}", headers={"Accept": MANIFEST})
        if reply.status == HTTPStatus.NOT_FOUND:
            reply.close()
            return None
        return self._checked(self._body(reply, MAX_MANIFEST), reference if ":" in reference else None)

    def blob(self, repository: str, digest: str, *, size: int) -> bytes:
        """Fetch one blob of exactly ``size`` bytes.

        :raises ArtifactRefused: it is missing, or has other bytes than its digest and size say.
        """
        reply = self._send("GET", f"v2/{repository}/blobs/{digest}")
        if reply.status == HTTPStatus.NOT_FOUND:
            reply.close()
            raise ArtifactRefused(_("The registry lacks a part of the artifact."))
        content = self._checked(self._body(reply, size), digest)
        if len(content) != size:
            raise ArtifactRefused(_("A part of the artifact has another size than its manifest says."))
        return content

    def push_blob(self, repository: str, content: bytes) -> None:
        """Store one blob; harmless to repeat."""
        digest = digest_of(content)
        known = self._send("HEAD", f"v2/{repository}/blobs/{digest}")
        _leave(known)
        if known.status == HTTPStatus.OK:
            return
        started = self._send("POST", f"v2/{repository}/blobs/uploads/")
        self._expect(started, HTTPStatus.ACCEPTED)
        _leave(started)
        place = urljoin(self._base, started.headers.get("Location", ""))
        if urlsplit(place)[:2] != urlsplit(self._base)[:2]:
            raise RegistryUnavailable(_("The registry sends uploads to another host."))
        place += ("&" if urlsplit(place).query else "?") + f"digest={digest}"
        done = self._send("PUT", place, data=content, headers={"Content-Type": "application/octet-stream"})
        self._expect(done, HTTPStatus.CREATED)
        _leave(done)

    def push_manifest(self, repository: str, reference: str, content: bytes) -> None:
        """Store a manifest under a tag or its digest."""
        reply = self._send(
            "PUT", f"v2/{repository}/manifests/{reference}", data=content, headers={"Content-Type": MANIFEST}
        )
        self._expect(reply, HTTPStatus.CREATED)
        _leave(reply)

    def _list(self, path: str, key: str) -> Iterator[str]:
        for _number in range(_MAX_PAGES):
            reply = self._send("GET", path)
            if reply.status == HTTPStatus.NOT_FOUND:
                reply.close()
                return
            data = read_json(self._body(reply, _MAX_LIST), limit=_MAX_LIST)
            names = data.get(key) if isinstance(data, dict) else None
            yield from (name for name in names or () if isinstance(name, str))
            links = parse_header_links(reply.headers.get("Link", ""))
            following = next((link.get("url") for link in links if link.get("rel") == "next"), None)
            if not following:
                return
            path = urljoin(self._base, following)
        raise RegistryUnavailable(_("The registry's list does not end."))

    def _send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> BaseHTTPResponse:
        address = urljoin(self._base, path)
        if urlsplit(address)[:2] != urlsplit(self._base)[:2]:
            raise RegistryUnavailable(_("The registry points to another host."))
        try:
            return self._pool.request(
                method,
                address,
                headers={**self._headers, **(headers or {})},
                body=data,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError:
            raise RegistryUnavailable(_("The registry %(host)s cannot be reached.") % {"host": self.host}) from None

    def _body(self, reply: BaseHTTPResponse, limit: int) -> bytes:
        """Read at most ``limit`` bytes of a good answer, as they are: nothing is unpacked here."""
        self._expect(reply, HTTPStatus.OK)
        ends = time.monotonic() + _BODY_SECONDS
        content = bytearray()
        try:
            while piece := reply.read(16 * 1024, decode_content=False):
                content += piece
                if len(content) > limit:
                    raise ArtifactRefused(_("The registry sent more than %(limit)d bytes.") % {"limit": limit})
                if time.monotonic() > ends:
                    raise RegistryUnavailable(_("The registry %(host)s is too slow.") % {"host": self.host})
        except (HTTPError, OSError):
            reply.close()
            raise RegistryUnavailable(_("The registry %(host)s cannot be reached.") % {"host": self.host}) from None
        except DomainError:
            reply.close()
            raise
        reply.release_conn()
        return bytes(content)

    def _expect(self, reply: BaseHTTPResponse, status: HTTPStatus) -> None:
        if reply.status == status:
            return
        reply.close()
        words = {"host": self.host, "status": reply.status}
        if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise RegistryUnavailable(_("The registry %(host)s wants another login (%(status)d).") % words)
        raise RegistryUnavailable(_("The registry %(host)s answered %(status)d.") % words)

    def _checked(self, content: bytes, digest: str | None) -> bytes:
        if digest is not None and digest_of(content) != digest:
            raise ArtifactRefused(_("The registry sent other bytes than were asked for by digest."))
        return content


def _leave(reply: BaseHTTPResponse) -> None:
    """Keep the connection where nothing is left to read; a body that nobody asked for is not read."""
    if reply.length_remaining == 0:
        reply.drain_conn()
    else:
        reply.close()
