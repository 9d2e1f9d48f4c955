"""The live parts of console pages about money."""

from catalyst.core.http.live_pages import register_page

register_page("billing", ("account.", "order.", "subscription.", "invoice.", "refund.", "credit.", "payment."))
