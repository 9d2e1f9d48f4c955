"""The linter of Blueprints: one judgment for authors, pushes, publishing and the catalogue.

The rules: blueprints.md §7 of the design, and ``rules``.
"""

from marketplace.services.blueprint_lint.judge import is_refused, lint_files
from marketplace.services.blueprint_lint.rules import RULES
from marketplace.services.blueprint_lint.shelf import Artifact, Published, Shelf, published_versions
from marketplace.services.blueprint_lint.tree import read_archive, read_tree

__all__ = [
    "RULES",
    "Artifact",
    "Published",
    "Shelf",
    "is_refused",
    "lint_files",
    "published_versions",
    "read_archive",
    "read_tree",
]
