"""Panels of a page: each is read by itself, so that one that cannot be read hides nothing else.

Source: surfaces.md §5 of the design ("error": next to its cause, with a reference, the rest stays usable).
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

log = structlog.get_logger(__name__)


def load_panels(panels: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Return what each panel shows, under its name; ``broken`` names those that the database did not give.

    A panel must be read to its end here: a query that a template asks would fail where nothing catches it.
    """
    shown: dict[str, Any] = {}
    broken = []
    for name, read in panels.items():
        try:
            shown[name] = read()
        except (OperationalError, InterfaceError) as error:
            log.warning("panel_not_read", panel=name, exc_info=error)
            broken.append(name)
    return {**shown, "broken": broken}


def show_panels(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """Answer with a page of panels; it is no good answer (503) where one of them is broken."""
    status = HTTPStatus.SERVICE_UNAVAILABLE if context["broken"] else HTTPStatus.OK
    return render(request, template, context, status=status)
