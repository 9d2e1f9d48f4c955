"""Whose network address a request came from, when some of the hops may lie."""

import ipaddress
from typing import Protocol

from django.conf import settings


class _HasMeta(Protocol):
    @property
    def META(self) -> dict[str, str]: ...  # noqa: N802  (Django's name)


def client_address(request: _HasMeta) -> str:
    """Return the address that the outermost trusted proxy saw, else that of the connection.

    ``TRUSTED_PROXY_COUNT`` proxies append to ``X-Forwarded-For``; what stands further left was written by the caller.
    """
    remote = request.META.get("REMOTE_ADDR", "")
    proxies: int = settings.TRUSTED_PROXY_COUNT
    if not proxies:
        return remote
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    hops = [*forwarded, remote]
    seen = hops[max(len(hops) - 1 - proxies, 0)]
    return seen if _is_address(seen) else remote


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
