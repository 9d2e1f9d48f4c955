"""The read models of Organizations, folded from the event log."""

from tenancy.projections.organizations import ORGANIZATIONS

__all__ = ["ORGANIZATIONS"]
