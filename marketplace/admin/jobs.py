"""The staff's view of Jobs: what failed is tried again from the step that failed."""

from typing import cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalyst.core.errors import DomainError
from marketplace.models import Job, JobLine, JobStep
from marketplace.services.jobs import retry_job
from tenancy.admin import GuardedAdmin, ReadOnlyInline, ask_first
from tenancy.models import User


class JobStepInline(ReadOnlyInline):
    model = JobStep
    fields = ("position", "name", "state", "progress", "attempts", "status_reason", "started_at", "finished_at")
    ordering = ("position",)


class JobLineInline(ReadOnlyInline):
    model = JobLine
    fields = ("number", "step", "text", "at")
    ordering = ("number",)


@admin.register(Job)
class JobAdmin(GuardedAdmin):
    """What takes longer than one Change, of every Organization, deleted ones included."""

    view_permission = "job.retry"
    list_display = ("kind", "organization", "environment", "state", "status_reason", "created_at", "deadline_at")
    list_select_related = ("organization", "environment")
    list_filter = ("state", "kind")
    search_fields = ("=id", "=organization__slug", "=environment__name")
    ordering = ("-created_at",)
    inlines = (JobStepInline, JobLineInline)
    actions = ("try_again",)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "job.retry")

    @admin.action(description=gettext_lazy("Try again"), permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        page = ask_first(self, request, queryset, action="try_again", question=_("Try these jobs again?"))
        if page is not None:
            return page
        for job in queryset:
            try:
                retry_job(job_id=job.pk, actor=cast(User, request.user), now=timezone.now())
            except DomainError as error:
                self.message_user(request, f"{job}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, _("%(job)s is tried again.") % {"job": job}, messages.SUCCESS)
        return None
