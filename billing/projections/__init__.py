"""Loaded by every process at its start: what registers itself for live streams."""

from billing.projections import live_order

__all__ = ["live_order"]
