"""Jobs in the console: what is under way, how far it is, what it said; and stop one."""

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from billing.views.panels import load_panels, show_panels
from catalyst.core.errors import DomainError, NotFound
from marketplace.models import Job, JobStep
from marketplace.selectors.jobs import MOST_LINES, get_job, jobs_of, lines_of
from marketplace.services.job_kinds import find_kind
from marketplace.services.jobs import UNFINISHED, can_cancel, cancel_job
from tenancy.models import Organization, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, visible_env_types
from tenancy.selectors.permissions import has_role

_PER_PAGE = 30
_LARGEST_NUMBER_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Shown:
    """A Job, or a step, with its words in the reader's language."""

    row: Job | JobStep
    title: str | Promise


@never_cache
@require_safe
@login_required
def job_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the Organization's Jobs, newest first."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "jobs")
    if not context["sees_jobs"]:
        return render(request, "console/refused.html", context, status=403)
    context |= load_panels({"jobs": lambda: _newest(request, organization)})
    context["is_working"] = any(shown.row.state in UNFINISHED for shown in context.get("jobs", ()))
    return show_panels(request, "console/jobs.html", context)


@never_cache
@require_safe
@login_required
def job_page(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """Show one Job: its steps, and its log after the line that the address names."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "jobs")
    if not context["sees_jobs"]:
        return render(request, "console/refused.html", context, status=403)
    job = _find(request, organization, job_id)
    context |= load_panels({"log": lambda: _log(request, job)})
    kind = find_kind(job.kind)
    steps = sorted(job.steps.all(), key=lambda step: step.position)
    context |= {
        "job": Shown(job, _title(job)),
        "steps": [Shown(step, kind.titles.get(step.name, step.name) if kind else step.name) for step in steps],
        "is_working": job.state in UNFINISHED,
        "cancels": _may_cancel(organization) and can_cancel(job),
    }
    return show_panels(request, "console/job.html", context)


@require_POST
@login_required
def cancel(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """Stop a Job before its next step."""
    organization = find_organization(request, slug, stays_open=True)
    context = shell(request, organization, "jobs")
    if not _may_cancel(organization):
        return render(request, "console/refused.html", context, status=403)
    job = _find(request, organization, job_id)
    try:
        cancel_job(job_id=job.pk, actor=cast(User, request.user), now=timezone.now())
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("It stops before its next step."))
    return see_other(reverse("console-job", args=[organization.slug, job.pk]))


def _may_cancel(organization: Organization) -> bool:
    return has_role(getattr(organization, ROLES_ATTRIBUTE), "job.cancel")


def _find(request: HttpRequest, organization: Organization, job_id: UUID) -> Job:
    try:
        return get_job(organization, job_id, env_types=visible_env_types(request.user, organization))
    except NotFound:
        raise Http404 from None


def _newest(request: HttpRequest, organization: Organization) -> list[Shown]:
    jobs = jobs_of(organization, env_types=visible_env_types(request.user, organization))
    return [Shown(job, _title(job)) for job in jobs.order_by("-created_at")[:_PER_PAGE]]


def _title(job: Job) -> str | Promise:
    kind = find_kind(job.kind)
    return kind.title if kind else job.kind


def _log(request: HttpRequest, job: Job) -> dict[str, Any]:
    asked = request.GET.get("after", "")
    is_number = asked.isascii() and asked.isdigit() and len(asked) <= _LARGEST_NUMBER_DIGITS
    after = int(asked) if is_number else 0
    lines = lines_of(job, after=after)
    return {"lines": lines, "after": after, "more": lines[-1].number if len(lines) == MOST_LINES else None}
