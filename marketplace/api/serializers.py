"""JSON of the public catalogue. Words follow the request's language; a missing Arabic text shows the English one."""

from typing import Any

from django.utils.translation import get_language
from rest_framework import serializers

from catalyst.core.money import Money


class MoneyOutput(serializers.Serializer[Any]):
    amount = serializers.IntegerField(help_text="Minor units of the currency.")
    currency = serializers.CharField()


class CapacityOutput(serializers.Serializer[Any]):
    memory_mib = serializers.IntegerField()
    cpu_milli = serializers.IntegerField()
    disk_gib = serializers.IntegerField()


def words(item: Any, name: str) -> str:
    """Return a translated attribute: ``words(card, "tagline")`` reads ``tagline_en`` or ``tagline_ar``."""
    arabic = getattr(item, f"{name}_ar")
    is_arabic = (get_language() or "en").startswith("ar")
    return str(arabic if is_arabic and arabic else getattr(item, f"{name}_en"))


class PricedOutput(serializers.Serializer[Any]):
    """Base of everything with a ``price_minor``; the view gives the currency in the context."""

    price = serializers.SerializerMethodField()

    def get_price(self, item: Any) -> dict[str, int | str] | None:
        """Return ``{"amount", "currency"}``, or null when there is no price."""
        if item.price_minor is None:
            return None
        return Money(item.price_minor, self.context["currency"]).as_json()


class TitledOutput(serializers.Serializer[Any]):
    slug = serializers.CharField()
    title = serializers.SerializerMethodField()

    def get_title(self, item: Any) -> str:
        return words(item, "title")


class BlueprintOutput(PricedOutput):
    name = serializers.CharField()
    title = serializers.CharField()
    tagline = serializers.SerializerMethodField()
    category = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    state = serializers.CharField()
    latest_version = serializers.CharField(allow_null=True)
    installable = serializers.BooleanField(source="is_installable")

    def get_tagline(self, card: Any) -> str:
        return words(card, "tagline")


class VersionOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    digest = serializers.CharField()
    published_at = serializers.DateTimeField()
    yanked = serializers.BooleanField(source="is_yanked")
    state = serializers.CharField()
    reason = serializers.CharField(help_text="Why it was retired or withdrawn.")
    security = serializers.BooleanField(source="is_security", help_text="It brings a security fix.")
    changelog = serializers.CharField()
    signed_by = serializers.CharField()


class BlueprintDetailOutput(BlueprintOutput):
    """Everything of the list, and what only one Blueprint's page needs. The view gives the detail in the context."""

    kind = serializers.CharField()
    footprint = CapacityOutput()
    license = serializers.CharField()
    documentation = serializers.CharField()
    related = serializers.ListField(child=serializers.CharField())
    description = serializers.SerializerMethodField()
    versions = serializers.SerializerMethodField()
    config_schema = serializers.SerializerMethodField()
    depends = serializers.SerializerMethodField()
    placement = serializers.SerializerMethodField()

    def get_description(self, _card: Any) -> str:
        return words(self.context["detail"], "description")

    def get_versions(self, _card: Any) -> list[dict[str, Any]]:
        return list(VersionOutput(self.context["detail"].versions, many=True).data)

    def get_config_schema(self, _card: Any) -> dict[str, Any]:
        return dict(self.context["detail"].config_schema)

    def get_depends(self, _card: Any) -> list[dict[str, Any]]:
        return list(self.context["detail"].depends)

    def get_placement(self, _card: Any) -> dict[str, Any]:
        return dict(self.context["detail"].placement)


class PlanOutput(TitledOutput, PricedOutput):
    audience = serializers.SerializerMethodField()
    capacity = CapacityOutput()
    popular = serializers.BooleanField(source="is_popular")
    state = serializers.CharField()

    def get_audience(self, plan: Any) -> str:
        return words(plan, "audience")


class AddOnOutput(TitledOutput, PricedOutput):
    category = serializers.CharField()
    included_from = serializers.CharField()
    state = serializers.CharField()


class BundleOutput(TitledOutput):
    discount_percent = serializers.IntegerField()
    members = serializers.ListField(child=serializers.CharField())
    members_today = serializers.ListField(child=serializers.CharField())
    recommended_plan = serializers.CharField()
    fits = serializers.CharField()
    state = serializers.CharField()


class IndustryOutput(TitledOutput):
    suggested = serializers.ListField(child=serializers.CharField())
    available = serializers.ListField(child=serializers.CharField())
    bundle = serializers.CharField()
    fits = serializers.CharField()
