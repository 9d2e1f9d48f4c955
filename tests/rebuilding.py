"""The promise that every journey ends with: read tables are the fold of the log, and ``main`` is what the rows say."""

from typing import Any

from django.db import models

from billing.models import BillingSummary
from catalyst.core import outbox
from catalyst.core.gitops.repository import open_repository
from catalyst.core.projections import projector_names, rebuild_projection, run_projectors
from marketplace.models import ApplicationStatus, ChangeSummary, EnvironmentSummary, JobSummary, ReadySpan
from marketplace.services.changes_desired import desired_applications, desired_files, texts_of
from marketplace.services.changes_repository import repository_path
from tenancy.models import Environment, OrganizationSummary

READ_TABLES: tuple[type[models.Model], ...] = (
    ApplicationStatus,
    BillingSummary,
    ChangeSummary,
    EnvironmentSummary,
    JobSummary,
    OrganizationSummary,
    ReadySpan,
)


def read_rows() -> dict[str, list[dict[str, Any]]]:
    """Return every row of every read table; a surrogate id is no fact and left out."""
    return {model.__name__: _rows(model) for model in READ_TABLES}


def assert_rebuilds_equal() -> dict[str, list[dict[str, Any]]]:
    """Drop every read table, fold the log anew, and compare; return the rows."""
    while outbox.relay_once():
        pass
    run_projectors()
    before = read_rows()
    for name in projector_names():
        rebuild_projection(name=name)
    after = read_rows()
    for table in before:
        assert after[table] == before[table], table
    return before


def assert_trees_equal_rows() -> None:
    """Check every repository: the tree of ``main`` is what the rows render to, byte for byte."""
    for environment in Environment.objects.exclude(head_commit="").select_related("organization"):
        tree = open_repository(repository_path(environment)).read_tree(environment.head_commit)
        readme, owners = texts_of(tree)
        rows = desired_applications(environment, change=None)
        assert desired_files(environment, rows, readme=readme, code_owners=owners) == tree, environment.name


def _rows(model: type[models.Model]) -> list[dict[str, Any]]:
    keys = {field.name for field in model._meta.fields if field.get_internal_type() == "BigAutoField"}
    rows = [{name: value for name, value in row.items() if name not in keys} for row in model._default_manager.values()]
    return sorted(rows, key=repr)
