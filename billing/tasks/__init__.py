"""Sweeps, doorbells and consumers of the money flows, by topic. Celery finds all of them through this package."""

from billing.tasks import checkouts

__all__ = ["checkouts"]
