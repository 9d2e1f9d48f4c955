"""Input of the API: what is not asked for is refused, not ignored."""

import functools
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """A plain input serializer that refuses fields it does not have."""

    default_error_messages = {"unknown_field": _("This field is not known.")}

    @classmethod
    def read(cls, data: Any) -> dict[str, Any]:
        """Return the validated input, as a serializer made for this one request would, without copying its fields.

        :raises ValidationError: it is not what this serializer asks for.
        """
        if isinstance(data, dict):
            return dict(_shared(cls).run_validation(data))
        made = cls(data=data)
        made.is_valid(raise_exception=True)
        return dict(made.validated_data)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            writable = {field.field_name for field in self._writable_fields}
            unknown = sorted(set(map(str, data)) - writable)
            if unknown:
                message = str(self.error_messages["unknown_field"])
                raise serializers.ValidationError({name: [message] for name in unknown}, code="unknown_field")
        return super().to_internal_value(data)


@functools.cache
def _shared(kind: type[StrictSerializer]) -> StrictSerializer:
    """Validation of plain input keeps nothing in the serializer, so all requests and threads can use one."""
    return kind()
