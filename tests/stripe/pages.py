"""A visitor of the card page, without a browser."""

from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode, urlsplit


def visit(url: str, action: str = "", language: str = "en") -> tuple[HTTPResponse, str]:
    """Open the page or press a button; redirects are not followed."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=5)
    headers = {"Accept-Language": language, "Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({"action": action}) if action else None
    connection.request("POST" if action else "GET", f"{parts.path}?{parts.query}", body, headers)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply, text
