"""A shop's webhook endpoint, scripted."""

from http.server import BaseHTTPRequestHandler, HTTPServer


class Shop(HTTPServer):
    """A webhook endpoint that answers the scripted statuses, then 200, and keeps what it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Webhook)
        self.statuses: list[int] = []
        self.received: list[tuple[bytes, str]] = []

    @property
    def url(self) -> str:
        """Return the address of the endpoint."""
        return f"http://127.0.0.1:{self.server_port}/webhooks/stripe/"


class _Webhook(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((body, self.headers["Stripe-Signature"]))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""
