"""The staff's view of people, Organizations, tokens, the audit trail, and of the event log beneath them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalyst.core import outbox
from catalyst.core.errors import DomainError
from catalyst.core.models import Delivery, Incident, Outbox
from tenancy.models import ApiToken, AuditEntry, Domain, Environment, Membership, Organization, Sovereign, User
from tenancy.selectors.permissions import can
from tenancy.services.audit import SOVEREIGN_STREAM, append_audit
from tenancy.services.incidents import close_incident
from tenancy.services.organization_life import resume_organization, suspend_organization
from tenancy.services.staff import set_staff_role
from tenancy.services.tokens import revoke_token

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _TabularInline = admin.TabularInline[Any, Any]
else:
    _ModelAdmin = admin.ModelAdmin
    _TabularInline = admin.TabularInline


_SHOWN_OBJECTS = 20


class GuardedAdmin(_ModelAdmin):
    """Base of every admin page: rights come from the permissions table, None means nobody, and nothing is ever deleted.

    A saved form leaves one audit row in its own transaction. Actions name their permission with
    ``@admin.action(permissions=["…"])`` and a ``has_…_permission`` method, or ask ``may``.
    """

    view_permission: ClassVar[str | None] = None
    change_permission: ClassVar[str | None] = None
    add_permission: ClassVar[str | None] = None
    show_full_result_count = False
    list_per_page = 50

    def may(self, request: HttpRequest, permission: str | None) -> bool:
        """Answer whether this member of staff holds a permission; None is held by nobody."""
        return permission is not None and can(request.user, permission)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may(request, self.view_permission) or self.may(request, self.change_permission)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may(request, self.change_permission)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may(request, self.add_permission)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._audit(request, obj, "changed", message)
        return super().log_change(request, obj, message)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._audit(request, obj, "added", message)
        return super().log_addition(request, obj, message)

    def _audit(self, request: HttpRequest, obj: Model, verb: str, message: Any) -> None:
        append_audit(
            stream=SOVEREIGN_STREAM,
            actor=cast(User, request.user),
            action=f"{obj._meta.model_name}.{verb}",
            target=f"{obj._meta.label_lower}:{obj.pk}",
            detail={"fields": message},
        )


def ask_first(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    queryset: QuerySet[Any],
    *,
    action: str,
    question: str,
    template: str = "admin/billing/confirm.html",
    error: str = "",
) -> TemplateResponse | None:
    """Return the page that asks for confirmation, or None when the person has confirmed.

    With an ``error`` it asks again: what the person wrote cannot be taken.
    """
    if "confirmed" in request.POST and not error:
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question,
        "opts": model_admin.model._meta,
        "count": queryset.count(),
        "objects": queryset[:_SHOWN_OBJECTS],
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
        "select_across": request.POST.get("select_across", "0"),
        "action": action,
        "error": error,
    }
    return TemplateResponse(request, template, context)


class ReadOnlyInline(_TabularInline):
    """Rows shown beneath another object; nobody edits them there."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True


class MembershipInline(ReadOnlyInline):
    model = Membership
    fields = ("user", "role", "env_types", "expires_at")


class EnvironmentInline(ReadOnlyInline):
    model = Environment
    fields = ("name", "status", "head_commit", "created_at")


@admin.register(Domain)
class DomainAdmin(GuardedAdmin):
    view_permission = "organization.list"
    list_display = ("name", "organization", "state", "trouble", "last_checked_at")
    list_filter = ("state",)
    list_select_related = ("organization",)
    search_fields = ("name", "organization__slug")
    ordering = ("-id",)


@admin.register(Organization)
class OrganizationAdmin(GuardedAdmin):
    view_permission = "organization.list"
    list_display = ("slug", "name", "state", "created_at")
    list_filter = ("state",)
    search_fields = ("slug", "name", "name_ar")
    ordering = ("-id",)
    inlines = (EnvironmentInline, MembershipInline)
    actions = ("suspend", "resume")

    def has_suspend_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "organization.suspend")

    @admin.action(description=gettext_lazy("Suspend"), permissions=["suspend"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Organization]) -> TemplateResponse | None:
        reason = request.POST.get("reason", "").strip()
        is_missing = "confirmed" in request.POST and not reason
        page = ask_first(
            self,
            request,
            queryset,
            action="suspend",
            question=_("Suspend these organizations? What they run pauses, and their members read only."),
            template="admin/tenancy/suspend.html",
            error=_("Say why, in at most 500 characters: the members read it.") if is_missing else "",
        )
        if page is None:
            self._each(
                request, queryset, lambda pk, **rest: suspend_organization(organization_id=pk, reason=reason, **rest)
            )
        return page

    @admin.action(description=gettext_lazy("Resume"), permissions=["suspend"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Organization]) -> TemplateResponse | None:
        page = ask_first(self, request, queryset, action="resume", question=_("Resume these organizations?"))
        if page is None:
            self._each(request, queryset, lambda pk, **rest: resume_organization(organization_id=pk, **rest))
        return page

    def _each(self, request: HttpRequest, queryset: QuerySet[Organization], act: Callable[..., Organization]) -> None:
        for organization in queryset:
            words = {"name": organization.slug}
            try:
                act(organization.pk, actor=cast(User, request.user), now=timezone.now())
            except DomainError as error:
                self.message_user(request, f"{organization.slug}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, _("%(name)s is updated.") % words, messages.SUCCESS)


@admin.register(User)
class UserAdmin(GuardedAdmin):
    view_permission = "organization.list"
    list_display = ("email", "display_name", "staff_role", "is_active", "last_login")
    list_filter = ("staff_role", "is_active")
    search_fields = ("email", "display_name")
    ordering = ("email",)
    fields = (
        "email",
        "display_name",
        "language",
        "staff_role",
        "staff_groups",
        "is_active",
        "created_at",
        "last_login",
    )
    actions = ("make_administrator", "make_support_agent", "end_staff_role")

    def has_staff_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "staff.manage")

    @admin.action(description=gettext_lazy("Make sovereign administrator"), permissions=["staff"])
    def make_administrator(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._set_role(request, queryset, User.StaffRole.ADMIN)

    @admin.action(description=gettext_lazy("Make support agent"), permissions=["staff"])
    def make_support_agent(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._set_role(request, queryset, User.StaffRole.SUPPORT)

    @admin.action(description=gettext_lazy("End staff role"), permissions=["staff"])
    def end_staff_role(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._set_role(request, queryset, User.StaffRole.NONE)

    def _set_role(self, request: HttpRequest, queryset: QuerySet[User], role: str) -> None:
        for user in queryset:
            try:
                set_staff_role(user_id=user.pk, role=role, actor=cast(User, request.user))
            except DomainError as error:
                self.message_user(request, f"{user.email}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, _("%(email)s is updated.") % {"email": user.email}, messages.SUCCESS)


@admin.register(ApiToken)
class ApiTokenAdmin(GuardedAdmin):
    view_permission = "organization.list"
    list_display = ("hint", "name", "user", "organization", "created_at", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("user", "organization")
    search_fields = ("name", "user__email", "organization__slug")
    ordering = ("-id",)
    exclude = ("token_hash",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "staff.manage")

    @admin.action(description=gettext_lazy("Revoke"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        revoked = [
            token
            for token in queryset
            if revoke_token(token_id=token.pk, actor=cast(User, request.user), now=timezone.now())
        ]
        self.message_user(request, _("%(count)d tokens are revoked.") % {"count": len(revoked)}, messages.SUCCESS)


@admin.register(AuditEntry)
class AuditEntryAdmin(GuardedAdmin):
    view_permission = "staff.manage"
    list_display = ("at", "stream", "seq", "actor", "action", "target")
    search_fields = ("=stream", "=actor", "=action", "=target", "=request_id")
    ordering = ("-id",)
    exclude = ("prev_hash", "hash")


@admin.register(Sovereign)
class SovereignAdmin(GuardedAdmin):
    view_permission = "organization.list"
    change_permission = "settings.sovereign"
    list_display = ("name", "domain", "currency", "is_sandbox")
    list_select_related = ("currency",)
    # Money that exists is in this currency, and order numbers are printed: both are set once, at set-up.
    readonly_fields = ("currency", "order_prefix", "is_sandbox")


@admin.register(Outbox)
class OutboxAdmin(GuardedAdmin):
    view_permission = "event.replay"
    list_display = ("sequence", "topic", "stream", "dedup_key", "created_at", "sent_at")
    search_fields = ("=topic", "=stream", "=dedup_key")
    ordering = ("-id",)


@admin.register(Delivery)
class DeliveryAdmin(GuardedAdmin):
    view_permission = "event.replay"
    list_display = ("message", "consumer", "state", "attempts", "next_attempt_at", "last_error")
    list_select_related = ("message",)
    list_filter = ("state", "consumer")
    ordering = ("-id",)
    actions = ("replay",)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "event.replay")

    @admin.action(description=gettext_lazy("Replay dead letters"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        dead = list(queryset.filter(state=Delivery.State.DEAD).values_list("pk", flat=True))
        for delivery_id in dead:
            outbox.replay_delivery(delivery_id=delivery_id)
        self.message_user(request, _("%(count)d deliveries run again.") % {"count": len(dead)}, messages.SUCCESS)


@admin.register(Incident)
class IncidentAdmin(GuardedAdmin):
    """What waits for a person: newest first, closed by whoever has looked and acted."""

    view_permission = "incident.view"
    list_display = ("kind", "subject", "count", "opened_at", "seen_at", "resolved_at", "resolved_by")
    list_filter = ("kind", ("resolved_at", admin.EmptyFieldListFilter))
    search_fields = ("subject", "detail")
    ordering = ("-id",)
    actions = ("resolve",)

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "incident.resolve")

    @admin.action(description=gettext_lazy("Close: looked at and acted upon"), permissions=["resolve"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        for incident in queryset.filter(resolved_at=None):
            try:
                close_incident(incident_id=incident.pk, actor=cast(User, request.user))
            except DomainError as error:
                self.message_user(request, error.message, messages.ERROR)
