"""The staff's pages of the marketplace."""

from marketplace.admin import catalogue, changes, jobs, policies, versions

__all__ = ["catalogue", "changes", "jobs", "policies", "versions"]
