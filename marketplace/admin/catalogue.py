"""The staff's view of the catalogue: rows are curated and retired, prices gain versions."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.forms.prices import PriceForm
from marketplace.models import AddOn, Blueprint, BlueprintVersion, Bundle, Category, Industry, Plan, Price
from marketplace.services.curate_catalogue import restore, retire, save_edited
from tenancy.admin import GuardedAdmin, ReadOnlyInline


class CuratedAdmin(GuardedAdmin):
    """Base of rows with ``edited_at``: a form saves what it changed; nothing is deleted, only retired."""

    view_permission = "catalogue.view"
    change_permission = "catalogue.curate"
    add_permission: ClassVar[str | None] = "catalogue.curate"
    ordering = ("position", "slug")
    search_fields: ClassVar[tuple[str, ...]] = ("slug", "title_en", "title_ar")
    list_display: tuple[str, ...] = ("slug", "title_en", "title_ar", "position", "edited_at", "retired_at")
    fixed_fields: ClassVar[tuple[str, ...]] = ("slug",)
    actions = ("retire_rows", "restore_rows")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A slug is chosen once; when a row was edited or retired is never typed."""
        return ("edited_at", "retired_at", *(self.fixed_fields if obj else ()))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        save_edited(row=obj, fields=form.changed_data, now=timezone.now())

    def has_curate_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "catalogue.curate")

    @admin.action(description=gettext_lazy("Retire: take off every list"), permissions=["curate"])
    def retire_rows(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rows = [row for row in queryset if retire(row=row, now=timezone.now())]
        self._tell(request, rows, "retired", _("%(count)d rows are retired."))

    @admin.action(description=gettext_lazy("Restore"), permissions=["curate"])
    def restore_rows(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rows = [row for row in queryset if restore(row=row, now=timezone.now())]
        self._tell(request, rows, "restored", _("%(count)d rows are back."))

    def _tell(self, request: HttpRequest, rows: list[Any], verb: str, text: str) -> None:
        for row in rows:
            self._audit(request, row, verb, [])
        self.message_user(request, text % {"count": len(rows)}, messages.SUCCESS)


@admin.register(Category)
class CategoryAdmin(CuratedAdmin):
    pass


@admin.register(Industry)
class IndustryAdmin(CuratedAdmin):
    list_display = ("slug", "title_en", "bundle", "position", "edited_at", "retired_at")


@admin.register(Plan)
class PlanAdmin(CuratedAdmin):
    list_display = ("slug", "title_en", "vcpu_milli", "memory_mib", "disk_gib", "state", "edited_at", "retired_at")
    list_filter = ("state",)


@admin.register(AddOn)
class AddOnAdmin(CuratedAdmin):
    list_display = ("slug", "title_en", "category", "included_from", "state", "edited_at", "retired_at")
    list_filter = ("state", "category")


@admin.register(Bundle)
class BundleAdmin(CuratedAdmin):
    list_display = ("slug", "title_en", "discount_percent", "recommended_plan", "state", "edited_at", "retired_at")
    list_filter = ("state",)


class VersionInline(ReadOnlyInline):
    model = BlueprintVersion
    fields = ("version", "state", "digest", "published_at", "yanked_at")
    ordering = ("-major", "-minor", "-patch")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BlueprintVersion]:
        return super().get_queryset(request).defer("files", "contract")


@admin.register(Blueprint)
class BlueprintAdmin(CuratedAdmin):
    # A Blueprint comes from its folder, never from a form; so do its name, footprint, icon and license.
    add_permission = None
    search_fields = ("name", "title", "tagline_en", "tagline_ar")
    list_display = ("name", "title", "category", "source", "kind", "state", "visibility", "edited_at", "retired_at")
    list_select_related = ("category",)
    list_filter = ("state", "kind", "source", "visibility", "category")
    fixed_fields = (
        *("slug", "name", "kind", "source", "organization", "visibility", "icon", "license"),
        *("memory_mib", "cpu_milli", "disk_gib"),
    )
    inlines = (VersionInline,)


@admin.register(Price)
class PriceAdmin(GuardedAdmin):
    """Prices are added as new versions; the database refuses to change one."""

    view_permission = "catalogue.view"
    add_permission = "catalogue.curate"
    form = PriceForm
    list_display = ("kind", "reference", "amount_minor", "currency", "valid_from", "set_by")
    list_select_related = ("currency", "set_by")
    list_filter = ("kind", "currency")
    search_fields = ("=reference",)
    ordering = ("kind", "reference", "-valid_from")

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        obj.set_by_id = request.user.pk
        super().save_model(request, obj, form, change)
