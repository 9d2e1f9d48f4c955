"""The read models of installed Applications, their Changes, Environments and Jobs, folded from the event log."""

from marketplace.projections import live_pages
from marketplace.projections.applications import APPLICATIONS
from marketplace.projections.changes import CHANGES
from marketplace.projections.environments import ENVIRONMENTS
from marketplace.projections.jobs import JOBS
from marketplace.projections.soak import SOAK

__all__ = ["APPLICATIONS", "CHANGES", "ENVIRONMENTS", "JOBS", "SOAK", "live_pages"]
