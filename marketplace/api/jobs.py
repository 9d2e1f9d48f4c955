"""Jobs over HTTP: what is under way, its steps, its log from any line on, stop it, and for staff try it again."""

from typing import Any, cast
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.http.pagination import NewestFirst, page_of
from catalyst.core.http.views import ApiView
from marketplace.models import Job
from marketplace.selectors.jobs import get_job, jobs_of, lines_of
from marketplace.services.jobs import cancel_job, retry_job
from tenancy.api.scoping import get_env_types, get_organization
from tenancy.models import User

_VIEW = "job.view"
_LARGEST = 2**31 - 1


class JobStepOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    state = serializers.CharField()
    progress = serializers.IntegerField(help_text="Per cent.")
    status_reason = serializers.CharField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class JobOutput(serializers.Serializer[Any]):
    """``requested_by`` is a display name, and Catalyst where the platform did it by itself."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    state = serializers.CharField()
    status_reason = serializers.CharField()
    subject = serializers.JSONField()
    environment = serializers.SerializerMethodField()
    requested_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    deadline_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_environment(self, job: Job) -> str:
        return job.environment.name if job.environment else ""

    def get_requested_by(self, job: Job) -> str:
        return job.requested_by.display_name if job.requested_by else "Catalyst"


class JobDetailOutput(JobOutput):
    steps = serializers.SerializerMethodField()

    @extend_schema(responses=JobStepOutput(many=True))
    def get_steps(self, job: Job) -> list[dict[str, Any]]:
        steps = sorted(job.steps.all(), key=lambda step: step.position)
        return [dict(each) for each in JobStepOutput(steps, many=True).data]


class JobLineOutput(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    step = serializers.CharField()
    text = serializers.CharField()
    at = serializers.DateTimeField()


class AfterInput(serializers.Serializer[Any]):
    after = serializers.IntegerField(required=False, default=0, min_value=0, max_value=_LARGEST)


class NewestJobFirst(NewestFirst):
    ordering = "-created_at"


class JobListView(ApiView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(operation_id="v1_jobs_list", responses=page_of(JobOutput))
    def get(self, request: Request, slug: str) -> Response:
        """List the Organization's Jobs within the caller's scope, newest first."""
        organization = get_organization(request, slug, _VIEW)
        jobs = jobs_of(organization, env_types=get_env_types(request, organization))
        paginator = NewestJobFirst()
        page = paginator.paginate_queryset(jobs, request, view=self)
        return paginator.get_paginated_response(JobOutput(page, many=True).data)


class JobView(ApiView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=JobDetailOutput)
    def get(self, request: Request, slug: str, job_id: UUID) -> Response:
        """Show one Job with its steps."""
        return Response(JobDetailOutput(_find(request, slug, job_id, _VIEW)).data)


class JobLineListView(ApiView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(
        responses=JobLineOutput(many=True),
        parameters=[OpenApiParameter("after", int, description="The last line that is known.")],
    )
    def get(self, request: Request, slug: str, job_id: UUID) -> Response:
        """Show the lines of a Job's log after a number, oldest first."""
        job = _find(request, slug, job_id, _VIEW)
        asked = AfterInput(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return Response(JobLineOutput(lines_of(job, after=asked.validated_data["after"]), many=True).data)


class JobCancelView(ApiView):
    required_permissions = {"POST": "job.cancel"}

    @extend_schema(request=None, responses=JobDetailOutput)
    def post(self, request: Request, slug: str, job_id: UUID) -> Response:
        """Stop a Job before its next step, while that can be taken back."""
        job = _find(request, slug, job_id, "job.cancel")
        cancel_job(job_id=job.pk, actor=cast(User, request.user), now=timezone.now())
        return Response(JobDetailOutput(_find(request, slug, job_id, _VIEW)).data)


class JobRetryView(ApiView):
    """For the Sovereign's staff, who belong to no Organization."""

    required_permissions = {"POST": "job.retry"}

    @extend_schema(request=None, responses=JobOutput)
    def post(self, request: Request, job_id: UUID) -> Response:
        """Try a failed Job again from the step that failed."""
        job = retry_job(job_id=job_id, actor=cast(User, request.user), now=timezone.now())
        return Response(JobOutput(job).data)


def _find(request: Request, slug: str, job_id: UUID, permission: str) -> Job:
    organization = get_organization(request, slug, permission)
    return get_job(organization, job_id, env_types=get_env_types(request, organization))
