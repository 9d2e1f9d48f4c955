"""Sweeps, doorbells and consumers of the money flows, by topic. Celery finds all of them through this package."""

from billing.tasks import cards, changes, checkouts, domains, invoices, reconciliation, refunds, subscriptions

__all__ = ["cards", "changes", "checkouts", "domains", "invoices", "reconciliation", "refunds", "subscriptions"]
