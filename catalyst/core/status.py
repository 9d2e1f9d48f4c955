"""How each status looks on every surface: word, icon, color. One table, so that no page invents its own.

Source: surfaces.md §10 of the design.
"""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Look:
    word: str | Promise
    icon: str
    color: str


_WORKING, _CLOCK, _CHECK, _CROSS, _TRASH = "half", "clock", "check", "cross", "trash"

STATUSES: dict[str, Look] = {
    "awaiting_approval": Look(_("Waiting for approval"), _CLOCK, "violet"),
    "installing": Look(_("Installing"), _WORKING, "blue"),
    "updating": Look(_("Updating"), _WORKING, "blue"),
    "ready": Look(_("Ready"), "dot", "green"),
    "degraded": Look(_("Partly working"), _WORKING, "amber"),
    "failed": Look(_("Failed"), _CROSS, "red"),
    "paused": Look(_("Paused"), "pause", "grey"),
    "deleting": Look(_("Removing"), _TRASH, "grey"),
    "deleted": Look(_("Removed"), _TRASH, "grey"),
    "unknown": Look(_("Unknown"), "question", "grey"),
    "previewed": Look(_("Ready to apply"), "eye", "blue"),
    "verified": Look(_("Verified"), _CHECK, "green"),
    "awaiting_gates": Look(_("Waiting for approval or time window"), _CLOCK, "violet"),
    "committing": Look(_("Saving"), _WORKING, "blue"),
    "committed": Look(_("Saved"), _WORKING, "blue"),
    "reconciling": Look(_("Rolling out"), _WORKING, "blue"),
    "succeeded": Look(_("Done"), _CHECK, "green"),
    "superseded": Look(_("Replaced by a newer change"), _CHECK, "grey"),
    "pending": Look(_("Waiting"), _CLOCK, "grey"),
    "running": Look(_("In progress"), _WORKING, "blue"),
    "cancelling": Look(_("Cancelling"), _CROSS, "grey"),
    "cancelled": Look(_("Cancelled"), _CROSS, "grey"),
    "skipped": Look(_("Skipped"), "skip", "grey"),
    "pending_payment": Look(_("Waiting for payment"), _CLOCK, "grey"),
    "paid": Look(_("Paid"), _CHECK, "green"),
    "refunded": Look(_("Refunded"), "return", "grey"),
    "active": Look(_("Active"), "dot", "green"),
    "past_due": Look(_("Payment due"), "alert", "amber"),
    "suspended": Look(_("Suspended"), "pause", "red"),
    "canceled": Look(_("Ended"), _CROSS, "grey"),
    "open": Look(_("Due"), _CLOCK, "amber"),
    "void": Look(_("Void"), _CROSS, "grey"),
    "uncollectible": Look(_("Not paid"), _CROSS, "red"),
    "issued": Look(_("Issued"), _CHECK, "green"),
    "refund_pending": Look(_("Refund in progress"), _WORKING, "blue"),
    "settled": Look(_("Refunded"), _CHECK, "green"),
    "refund_failed": Look(_("Refund failed"), _CROSS, "red"),
}


def look_of(key: str) -> Look:
    """Return how a status looks; one that nobody described is shown as unknown, never as fine."""
    return STATUSES.get(key, STATUSES["unknown"])
