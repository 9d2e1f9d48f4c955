"""Files that a person downloads: never cached by others, never guessed to be something else."""

from django.http import HttpResponse


def pdf_response(content: bytes, *, name: str) -> HttpResponse:
    """Answer with a PDF that the browser shows; ``name`` is ASCII, without an ending."""
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{name}.pdf"'
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response
