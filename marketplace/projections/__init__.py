"""The read models of installed Applications, folded from the event log."""

from marketplace.projections.applications import APPLICATIONS

__all__ = ["APPLICATIONS"]
