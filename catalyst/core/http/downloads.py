"""Files that a person downloads: never cached by others, never guessed to be something else."""

from django.http import HttpResponse


def csv_response(text: str, *, name: str) -> HttpResponse:
    """Answer with a table that the browser saves; ``name`` is ASCII, without an ending."""
    return _download(text.encode(), kind="text/csv; charset=utf-8", disposition=f'attachment; filename="{name}.csv"')


def pdf_response(content: bytes, *, name: str) -> HttpResponse:
    """Answer with a PDF that the browser shows; ``name`` is ASCII, without an ending."""
    return _download(content, kind="application/pdf", disposition=f'inline; filename="{name}.pdf"')


def _download(content: bytes, *, kind: str, disposition: str) -> HttpResponse:
    response = HttpResponse(content, content_type=kind)
    response["Content-Disposition"] = disposition
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response
