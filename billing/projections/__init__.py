"""Loaded by every process at its start: the read table of money, and what registers itself for live streams."""

from billing.projections import live_order, live_pages
from billing.projections.summary import BILLING

__all__ = ["BILLING", "live_order", "live_pages"]
