"""The card processor's webhook: check, store, answer. What an event means is asked of the processor later."""

from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.services.stripe_events import store_event, verify_event
from catalyst.core import doorbell
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.http.bodies import raw_body
from catalyst.core.http.problems import problem_response


@csrf_exempt
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Answer 200 once the event is stored; anything else makes the processor send it again."""
    try:
        body = raw_body(request, limit=settings.WEBHOOK_MAX_BYTES)
        event = verify_event(body=body, signature=request.headers.get("Stripe-Signature", ""))
    except DomainError as error:
        return problem_response(error)
    if store_event(event=event):
        fp("inbox.store.after_commit")
        doorbell.ring("billing.process_stripe_event", event_id=event["id"])
    return HttpResponse(status=HTTPStatus.OK)
