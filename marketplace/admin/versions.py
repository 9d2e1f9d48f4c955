"""The staff's view of Blueprint versions: their lives, what each would do to what runs, and the steps to take.

Versions of the Organizations' own Blueprints are not shown: they are theirs.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, cast

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalyst.core.errors import DomainError
from marketplace.models import Blueprint, BlueprintVersion
from marketplace.selectors.impact import Hindrance, Impact, Verdict, impact_of
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.blueprint_publication import findings_of, judged_folder, publish_version, shadowed_by
from marketplace.services.blueprint_versions import (
    ReasonRequired,
    check_reason,
    discard_draft,
    restore_version,
    retire_version,
    return_version,
    submit_version,
    yank_version,
)
from tenancy.admin import GuardedAdmin, ask_first
from tenancy.models import User
from tenancy.selectors.organizations import organizations_of

_WAITING = (BlueprintVersion.State.DRAFT, BlueprintVersion.State.REVIEW)
_VERDICTS: Final = {
    Verdict.ACCEPTS: gettext_lazy("Environments that can take it as they are: %(count)d"),
    Verdict.MOVES_OTHERS: gettext_lazy("Environments that can take it when other Applications move too: %(count)d"),
    Verdict.CANNOT: gettext_lazy("Environments that cannot take it: %(count)d"),
    Verdict.UNDECIDED: gettext_lazy("Environments for which that could not be found out in time: %(count)d"),
    Verdict.AHEAD: gettext_lazy("Environments that run it, or something newer: %(count)d"),
}
_HINDRANCES: Final = {
    Hindrance.SHADOWED: gettext_lazy("The Organization has its own Blueprint of this name: %(count)d"),
    Hindrance.BLOCKED: gettext_lazy("The version refuses the one that runs: %(count)d"),
    Hindrance.RECREATE: gettext_lazy("The version does not take over the one that runs: %(count)d"),
    Hindrance.OWN_RANGE: gettext_lazy("Somebody asked for other versions: %(count)d"),
    Hindrance.NEEDED: gettext_lazy("Another Application needs other versions: %(count)d"),
    Hindrance.CONFLICT: gettext_lazy("What it needs does not go together with what runs: %(count)d"),
}


def impact_lines(impact: Impact) -> Iterator[str]:
    """Yield what a version would do, in whole sentences; others than the reader's own are only counted."""
    if not impact.total:
        yield _("No Environment runs this Blueprint.")
        return
    for verdict, text in _VERDICTS.items():
        if count := impact.locks.get(verdict.value, 0):
            yield text % {"count": count}
        if verdict == Verdict.CANNOT:
            yield from (
                f"— {words % {'count': impact.hindrances[each.value]}}"
                for each, words in _HINDRANCES.items()
                if each.value in impact.hindrances
            )
    for row in impact.named:
        words = {"application": row.application, "environment": row.environment, "version": row.version}
        if row.verdict in (Verdict.ACCEPTS, Verdict.MOVES_OTHERS):
            yield _("Yours: %(application)s in %(environment)s (%(version)s) can take it.") % words
        elif row.verdict == Verdict.CANNOT:
            yield _("Yours: %(application)s in %(environment)s (%(version)s) cannot take it.") % words


@admin.register(BlueprintVersion)
class BlueprintVersionAdmin(GuardedAdmin):
    """Read here, changed by steps only."""

    view_permission = "catalogue.view"
    list_display = ("blueprint", "version", "state", "yanked_at", "is_security", "running", "published_at")
    list_select_related = ("blueprint",)
    list_filter = ("state", "is_security", ("yanked_at", admin.EmptyFieldListFilter), "blueprint__source")
    search_fields = ("=blueprint__name", "=version", "=digest")
    ordering = ("blueprint__name", "-major", "-minor", "-patch")
    fields = (
        *("blueprint", "version", "state", "yanked_at", "is_security", "changelog", "digest", "commit"),
        *("reference", "signer", "published_at", "impact", "findings"),
    )
    actions = ("submit", "send_back", "publish", "retire", "restore", "yank", "yank_for_security", "discard")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BlueprintVersion]:
        rows = super().get_queryset(request).exclude(blueprint__source=Blueprint.Source.ORG).defer("files", "contract")
        running = Count("applications", filter=Q(applications__removed_by=None))
        return cast("QuerySet[BlueprintVersion]", rows.annotate(running=running))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    def has_draft_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "blueprint.draft")

    def has_publish_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "blueprint.publish_sovereign")

    @admin.display(description=gettext_lazy("Applications"))
    def running(self, version: Any) -> int:
        """Return how many Applications of the whole Sovereign run it."""
        return int(version.running)

    @admin.display(description=gettext_lazy("What it would do"))
    def impact(self, version: BlueprintVersion) -> SafeString | str:
        """Return counts over all Organizations, for what waits to be published."""
        if version.state not in _WAITING:
            return "–"
        return _lines(impact_lines(impact_of(version, now=timezone.now())))

    @admin.display(description=gettext_lazy("What the linter says"))
    def findings(self, version: BlueprintVersion) -> SafeString | str:
        """Return every finding on what waits to be published, among what is on the shelf today."""
        if version.state not in _WAITING:
            return "–"
        return _lines(map(str, findings_of(version))) or _("No rule is broken.")

    @admin.action(description=gettext_lazy("Submit for review"), permissions=["draft"])
    def submit(self, request: HttpRequest, queryset: QuerySet[BlueprintVersion]) -> HttpResponse | None:
        question = _("Submit these drafts? Somebody else publishes them then.")
        done = _("The version %(version)s is in review.")
        return self._ask_and_do(request, queryset, "submit", question, done, submit_version)

    @admin.action(description=gettext_lazy("Restore"), permissions=["publish"])
    def restore(self, request: HttpRequest, queryset: QuerySet[BlueprintVersion]) -> HttpResponse | None:
        question, done = _("Offer these versions again?"), _("The version %(version)s is offered again.")
        return self._ask_and_do(request, queryset, "restore", question, done, restore_version)

    @admin.action(description=gettext_lazy("Discard drafts"), permissions=["draft"])
    def discard(self, request: HttpRequest, queryset: QuerySet[BlueprintVersion]) -> HttpResponse | None:
        question, done = (
            _("Delete these drafts? They cannot be brought back."),
            _("The version %(version)s is deleted."),
        )
        return self._ask_and_do(request, queryset, "discard", question, done, discard_draft)

    @admin.action(description=gettext_lazy("Send back to the author"), permissions=["publish"])
    def send_back(self, request: HttpRequest, queryset: QuerySet[BlueprintVersion]) -> HttpResponse | None:
        question, done = _("Send these versions back to their authors?"), _("The version %(version)s is a draft again.")
        return self._ask_why(request, queryset, "send_back", question, done, return_version)

    @admin.action(description=gettext_lazy("Retire: stop offering"), permissions=["publish"])
    def retire(self, request: HttpRequest, queryset: QuerySet[BlueprintVersion]) -> HttpResponse | None:
        question = _("Stop offering these versions? Where they run they keep running.")
        return self._ask_why(
            request, queryset, "retire", question, _("The version %(version)s is retired."), retire_version
        )

    @admin.action(description=gettext_lazy("Withdraw for ever"), permissions=["publish"])
    def yank(self, request: HttpRequest, queryset: QuerySet[BlueprintVersion]) -> HttpResponse | None:
        return self._withdraw(request, queryset, "yank", is_security=False)

    @admin.action(description=gettext_lazy("Withdraw for ever: a security problem"), permissions=["publish"])
    def yank_for_security(self, request: HttpRequest, queryset: QuerySet[BlueprintVersion]) -> HttpResponse | None:
        return self._withdraw(request, queryset, "yank_for_security", is_security=True)

    @admin.action(description=gettext_lazy("Publish"), permissions=["publish"])
    def publish(self, request: HttpRequest, queryset: QuerySet[BlueprintVersion]) -> HttpResponse | None:
        versions = list(queryset)
        if "confirmed" not in request.POST:
            own = [row.pk for row in organizations_of(request.user)]
            effects = [line for version in versions for line in _publication_lines(version, own)]
            covers = any(shadowed_by(version, _visibility(version)) for version in versions)
            return self._page(request, "publish", _("Publish these versions?"), effects=effects, covers=covers)
        shadows = "shadows" in request.POST

        def act(version_id: int, actor: User) -> object:
            return publish_version(version_id=version_id, actor=actor, now=timezone.now(), shadows=shadows)

        return self._do(request, versions, _("The version %(version)s is published."), act)

    def _withdraw(
        self, request: HttpRequest, queryset: QuerySet[BlueprintVersion], action: str, *, is_security: bool
    ) -> HttpResponse | None:
        question = _("Withdraw these versions for ever? Nobody can install them any more.")

        def act(*, version_id: int, actor: User, reason: str) -> object:
            now = timezone.now()
            return yank_version(version_id=version_id, actor=actor, reason=reason, now=now, is_security=is_security)

        return self._ask_why(request, queryset, action, question, _("The version %(version)s is withdrawn."), act)

    def _ask_and_do(
        self,
        request: HttpRequest,
        queryset: QuerySet[BlueprintVersion],
        action: str,
        question: str,
        done: str,
        service: Callable[..., object],
    ) -> HttpResponse | None:
        page = ask_first(self, request, queryset, action=action, question=question)
        if page is not None:
            return page
        return self._do(request, queryset, done, lambda pk, actor: service(version_id=pk, actor=actor))

    def _ask_why(
        self,
        request: HttpRequest,
        queryset: QuerySet[BlueprintVersion],
        action: str,
        question: str,
        done: str,
        service: Callable[..., object],
    ) -> HttpResponse | None:
        versions, error = list(queryset), ""
        if "confirmed" in request.POST:
            try:
                reason = check_reason(request.POST.get("reason", ""))
            except ReasonRequired as refused:
                error = refused.message
            else:
                return self._do(
                    request, versions, done, lambda pk, actor: service(version_id=pk, actor=actor, reason=reason)
                )
        effects = [_name(version) for version in versions]
        return self._page(request, action, question, effects=effects, asks_why=True, error=error)

    def _page(self, request: HttpRequest, action: str, question: str, **more: Any) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": question,
            "opts": self.opts,
            "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
            "select_across": request.POST.get("select_across", "0"),
            "action": action,
            **more,
        }
        status = 422 if more.get("error") else 200
        return TemplateResponse(request, "admin/marketplace/version_step.html", context, status=status)

    def _do(
        self,
        request: HttpRequest,
        versions: Iterable[BlueprintVersion],
        done: str,
        act: Callable[[int, User], object],
    ) -> HttpResponse | None:
        for version in versions:
            name = _name(version)
            try:
                act(version.pk, cast(User, request.user))
            except DomainError as error:
                words = {"version": name, "problem": error.message}
                self.message_user(request, _("Not done for %(version)s: %(problem)s") % words, messages.ERROR)
            else:
                self.message_user(request, done % {"version": name}, messages.SUCCESS)
        return None


def _name(version: BlueprintVersion) -> str:
    return f"{version.blueprint.name} {version.version}"


def _visibility(version: BlueprintVersion) -> str:
    return str(version.contract.get("spec", {}).get("visibility", Blueprint.Visibility.LISTED))


def _publication_lines(version: BlueprintVersion, own: Iterable[int]) -> Iterator[str]:
    """Yield what publishing does and what stands against it, each line with the name of the version."""
    name = _name(version)
    try:
        judged_folder(version)
    except ContractRefused as refused:
        yield from (f"{name}: {finding}" for finding in refused.findings)
    yield from (f"{name}: {line}" for line in impact_lines(impact_of(version, now=timezone.now(), own=list(own))))


def _lines(lines: Iterable[str]) -> SafeString:
    return format_html_join("", "<div>{}</div>", ((line,) for line in lines))
