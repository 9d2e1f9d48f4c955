"""The history of one Environment as its page shows it: what is done, what waits for a person, what each touched."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from marketplace.models import Application, ApplicationEdit, Change, ChangePreview
from tenancy.models import Environment

#: These are about everything that runs, without a row for each.
_ABOUT_ALL = (Change.Kind.PAUSE, Change.Kind.RESUME)


def list_history(environment: Environment, *, application: str = "", before: UUID | None = None) -> QuerySet[Change]:
    """Return the Changes of an Environment, newest first, those that wait for their gates apart.

    ``application`` keeps those that touched it, ``before`` those that are older than this Change.
    """
    rows = Change.objects.filter(environment=environment).exclude(state=Change.State.AWAITING_GATES)
    if application:
        rows = rows.filter(_touching(environment, application) | Q(kind__in=_ABOUT_ALL))
    if before is not None:
        moment = Change.objects.filter(environment=environment, pk=before).values_list("created_at", flat=True).first()
        if moment is None:
            return rows.none()
        rows = rows.filter(Q(created_at__lt=moment) | Q(created_at=moment, pk__lt=before))
    return _with_people(rows).order_by("-created_at", "-pk")


def list_waiting(environment: Environment) -> QuerySet[Change]:
    """Return the Changes that wait for people or for time, oldest first."""
    rows = Change.objects.filter(environment=environment, state=Change.State.AWAITING_GATES)
    return _with_people(rows).order_by("created_at", "pk")


def list_ready(environment: Environment, *, now: datetime) -> QuerySet[ChangePreview]:
    """Return the previews that could be applied as they are, newest first: also what was pushed."""
    rows = ChangePreview.objects.filter(
        environment=environment,
        state=ChangePreview.State.OPEN,
        base_commit=environment.head_commit,
        expires_at__gt=now,
        shown__problems=[],
    )
    return rows.select_related("author").order_by("-created_at", "pk")


def touched_by(changes: Iterable[Change]) -> dict[UUID, list[str]]:
    """Return the names of the Applications that each Change is about; none for what is about all of them."""
    keys = [change.pk for change in changes]
    names: dict[UUID, set[str]] = {key: set() for key in keys}
    edits = ApplicationEdit.objects.filter(change__in=keys).values_list("change", "application__slug")
    rows = Application.objects
    for key, slug in (
        *edits,
        *rows.filter(change__in=keys).values_list("change", "slug"),
        *rows.filter(removed_by__in=keys).values_list("removed_by", "slug"),
    ):
        names[key].add(slug)
    return {key: sorted(found) for key, found in names.items()}


def names_in(environment: Environment) -> list[str]:
    """Return every name that an Application of this Environment ever had."""
    rows = Application.objects.filter(environment=environment).exclude(change__commit="")
    return list(rows.order_by("slug").values_list("slug", flat=True).distinct())


def last_changes(environments: Iterable[Environment]) -> dict[int, Change]:
    """Return the newest Change of each Environment that has one, by the Environment's number."""
    rows = Change.objects.filter(environment__in=list(environments)).select_related("author")
    newest = rows.order_by("environment", "-created_at", "-pk").distinct("environment")
    return {change.environment_id: change for change in newest}


def last_change_of(application: Application) -> Change | None:
    """Return the newest Change that touched an Application."""
    rows = Change.objects.filter(_touching(application.environment, application.slug))
    return rows.select_related("author").order_by("-created_at", "-pk").first()


def _touching(environment: Environment, name: str) -> Q:
    rows = Application.objects.filter(environment=environment, slug=name)
    edits = ApplicationEdit.objects.filter(application__in=rows)
    return (
        Q(pk__in=edits.values("change"))
        | Q(pk__in=rows.values("change"))
        | Q(pk__in=rows.exclude(removed_by=None).values("removed_by"))
    )


def _with_people(rows: QuerySet[Change]) -> QuerySet[Change]:
    return rows.select_related("author").prefetch_related("approvals__approver")
