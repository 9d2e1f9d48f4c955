"""What every page may show: the Sovereign's name, currency, languages."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tenancy.selectors.sovereign import get_sovereign


def sovereign(request: HttpRequest) -> dict[str, Any]:
    """Give templates ``sovereign``; the row is read only when a template asks."""
    return {"sovereign": SimpleLazyObject(get_sovereign)}
