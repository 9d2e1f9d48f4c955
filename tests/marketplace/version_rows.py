"""Drafts of the Sovereign's own Blueprints, and the people who bring them onto the shelf."""

from typing import Any

from catalyst.core.models import Outbox
from marketplace.models import Application, Blueprint, BlueprintVersion, Category, Change
from marketplace.services.blueprint_folder import check_files
from marketplace.services.sync_catalog import record_version
from tenancy.models import AuditEntry, Environment, Organization, User
from tests.factories import EnvironmentFactory
from tests.marketplace.catalogue_rows import NOW
from tests.marketplace.lint_draft import good


def handbook_files(version: str = "1.2.0", **spec: Any) -> dict[str, str]:
    """Return a folder of the Sovereign's own that passes the linter; ``spec`` replaces parts of its contract."""
    draft = good()
    draft.document["metadata"]["version"] = version
    draft.spec.pop("depends")
    draft.spec.update(spec)
    return {path: content.decode() for path, content in draft.contents().items()}


def a_draft(version: str = "1.2.0", *, state: str = "draft", **spec: Any) -> BlueprintVersion:
    """Leave a draft where a push leaves it: its Blueprint is private until somebody publishes."""
    category, _is_new = Category.objects.get_or_create(slug="knowledge-base", defaults={"title_en": "Knowledge"})
    row, _is_new = Blueprint.objects.get_or_create(
        name="bp-handbook",
        source="sovereign",
        defaults={
            "slug": "handbook",
            "title": "Pushed",
            "category": category,
            "visibility": "private",
            "memory_mib": 1,
            "cpu_milli": 1,
            "disk_gib": 1,
            "state": "now",
        },
    )
    files = handbook_files(version, **spec)
    folder = check_files("handbook", files, source="sovereign")
    return record_version(row.pk, folder, digest=folder.digest, state=state)


def audited(action: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return who did it, to what, and the details, oldest first."""
    rows = AuditEntry.objects.filter(action=f"blueprint_version.{action}").order_by("seq")
    return list(rows.values_list("stream", "actor", "detail"))


def told(version: BlueprintVersion) -> list[str]:
    """Return what the event log tells of a version."""
    events = Outbox.objects.filter(stream=f"blueprint:{version.blueprint_id}", payload__version_id=version.pk)
    return [topic.removeprefix("blueprint_version.") for topic in events.order_by("id").values_list("topic", flat=True)]


def install(
    organization: Organization,
    application: str,
    version: BlueprintVersion,
    *needed_by: str,
    asked: str = "",
    env_type: str = "prod",
    **bindings: str,
) -> Application:
    """Leave an Application where an installation leaves it; ``asked`` is its range, else that of its major."""
    environment = Environment.objects.filter(organization=organization, env_type=env_type).first()
    if environment is None:
        environment = EnvironmentFactory.create(organization=organization, env_type=env_type)
    author = User.objects.first() or User.objects.create_user("somebody@example.om")
    number = Application.objects.count() + 1
    change = Change.objects.create(
        organization=organization,
        environment=environment,
        author=author,
        state=Change.State.SUCCEEDED,
        seq=number,
        commit=f"{number:040x}",
        committed_at=NOW,
    )
    return Application.objects.create(
        organization=organization,
        environment=environment,
        slug=application,
        blueprint_version=version,
        version_range=asked or f"^{version.version}",
        bindings=bindings,
        requested_by=list(needed_by),
        change=change,
    )
