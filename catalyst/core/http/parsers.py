"""Bodies of the API: size first, then JSON, then text that the database can hold."""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions, parsers

from catalyst.core.http.bodies import body_too_large


class BoundedJSONParser(parsers.JSONParser):
    """Parse JSON of at most ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise body_too_large()
        try:
            text = raw.decode()
            data = json.loads(text, parse_constant=_refuse_constant)
            # Half of a surrogate pair is legal JSON and no legal text.
            if "\\ud" in text or "\\uD" in text:
                json.dumps(data, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise exceptions.ParseError(_("The body is not valid JSON.")) from None
        return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number.")
