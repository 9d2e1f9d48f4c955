"""Input of the API: what is not asked for is refused, not ignored."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """A plain input serializer that refuses fields it does not have."""

    default_error_messages = {"unknown_field": _("This field is not known.")}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            writable = {field.field_name for field in self._writable_fields}
            unknown = sorted(set(map(str, data)) - writable)
            if unknown:
                message = str(self.error_messages["unknown_field"])
                raise serializers.ValidationError({name: [message] for name in unknown}, code="unknown_field")
        return super().to_internal_value(data)
