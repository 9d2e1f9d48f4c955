"""An Environment with rules, a waiting Change, and people who may agree to it."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from marketplace.models import Application, ApplicationEdit, Change, ChangePreview, EnvironmentPolicy, ReadySpan
from tenancy.models import Environment, Organization, User
from tests.factories import BlueprintFactory, BlueprintVersionFactory, EnvironmentFactory, MembershipFactory

NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
APPROVALS: dict[str, Any] = {"kind": "pr-required", "approvers": ["security-officer", "org-admin"], "minApprovals": 2}
SOAK: dict[str, Any] = {"kind": "soak", "sourceEnvironment": "acme-stg", "duration": "72h"}
#: Tuesdays and Thursdays, 14:00 to 16:00 in Muscat: at ``NOW`` it is open, until 12:00 UTC.
WINDOW: dict[str, Any] = {"kind": "change-window", "cron": "0 14 * * 2,4", "duration": "2h", "timeZone": "Asia/Muscat"}


def environment_of(organization: Organization, env_type: str = "prod") -> Environment:
    row: Environment = EnvironmentFactory.create(organization=organization, env_type=env_type)
    return row


def member(organization: Organization, role: str, **fields: Any) -> User:
    user: User = MembershipFactory.create(organization=organization, role=role, **fields).user
    return user


def rule_by(environment: Environment, *rules: Any, by: User) -> EnvironmentPolicy:
    """Store rules as they are, readable or not."""
    return EnvironmentPolicy.objects.create(
        organization=environment.organization, environment=environment, rules=list(rules), updated_by=by
    )


def waiting_change(environment: Environment, author: User, *, base: str = "", **fields: Any) -> Change:
    """Return a Change that was previewed and waits for its gates."""
    number = Change.objects.count()
    preview = ChangePreview.objects.create(
        id=hashlib.sha256(f"{environment.pk} {number}".encode()).hexdigest(),
        organization=environment.organization,
        environment=environment,
        author=author,
        state=ChangePreview.State.APPLIED,
        request={},
        kind="change",
        base_commit=base,
        target_tree="a" * 40,
        summary="Change the wiki",
        shown={},
        created_at=NOW,
        expires_at=NOW + timedelta(hours=24),
    )
    return Change.objects.create(
        organization=environment.organization,
        environment=environment,
        state=Change.State.AWAITING_GATES,
        kind=Change.Kind.CHANGE,
        author=author,
        summary=preview.summary,
        preview=preview,
        target_tree=preview.target_tree,
        base_commit=base,
        created_at=NOW,
        **fields,
    )


def run(environment: Environment, version: Any, by: User, *, slug: str = "wiki", since: datetime | None) -> Application:
    """Install a version, and let the projection say since when it is ready."""
    change = Change.objects.create(
        organization=environment.organization,
        environment=environment,
        author=by,
        state=Change.State.SUCCEEDED,
        seq=1,
        commit="b" * 40,
        committed_at=NOW,
        finished_at=NOW,
    )
    row = Application.objects.create(
        organization=environment.organization,
        environment=environment,
        slug=slug,
        blueprint_version=version,
        change=change,
    )
    ReadySpan.objects.create(
        organization_id=environment.organization_id,
        environment_id=environment.pk,
        application=slug,
        blueprint=version.blueprint.name,
        version=version.version,
        ready_since=since,
        sequence=1,
    )
    return row


def version_of(number: str = "1.0.0", **fields: Any) -> Any:
    blueprint = fields.pop("blueprint", None) or BlueprintFactory.create(slug="wiki")
    return BlueprintVersionFactory.create(blueprint=blueprint, version=number, **fields)


def edit(change: Change, row: Application, version: Any) -> ApplicationEdit:
    return ApplicationEdit.objects.create(
        organization=change.organization,
        change=change,
        application=row,
        blueprint_version=version,
        size="small",
        config={},
        bindings={},
    )
