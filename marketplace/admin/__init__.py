"""The staff's pages of the marketplace."""

from marketplace.admin import catalogue, changes, versions

__all__ = ["catalogue", "changes", "versions"]
