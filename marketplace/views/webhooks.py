"""Where Flux and Git servers report: store, answer, look at it later."""

from http import HTTPStatus
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from catalyst.core import doorbell
from catalyst.core.errors import DomainError
from catalyst.core.http.bodies import raw_body
from catalyst.core.http.problems import problem_response
from marketplace.services.flux import receive_message
from marketplace.services.git_hints import receive_push


@csrf_exempt
@require_POST
def flux_webhook(request: HttpRequest, environment_uuid: UUID) -> HttpResponse:
    """Take one notification: 202 once it is stored, also when it was stored before."""
    try:
        message_id = receive_message(
            environment_uuid=environment_uuid,
            body=raw_body(request, limit=settings.WEBHOOK_MAX_BYTES),
            signature=request.headers.get("X-Signature", ""),
            now=timezone.now(),
        )
    except DomainError as error:
        return problem_response(error)
    if message_id is not None:
        doorbell.ring("marketplace.process_flux_message", message_id=message_id)
    return HttpResponse(status=HTTPStatus.ACCEPTED)


@csrf_exempt
@require_POST
def git_webhook(request: HttpRequest, environment_uuid: UUID) -> HttpResponse:
    """Take one message of a Git server: 202 once it is stored, also when it was stored before."""
    headers = request.headers
    try:
        receive_push(
            environment_uuid=environment_uuid,
            body=raw_body(request, limit=settings.WEBHOOK_MAX_BYTES),
            signature=headers.get("X-Signature") or headers.get("X-Hub-Signature-256", ""),
        )
    except DomainError as error:
        return problem_response(error)
    return HttpResponse(status=HTTPStatus.ACCEPTED)
