"""What the processor must be told when a card was saved, and what was left open when a process died in between.

Every call stands in Postgres before it is sent, and is sent again with the same key until there is an outcome.
"""

from datetime import datetime, timedelta
from functools import partial

from django.db.models import Q
from django.db.models.functions import Now

from billing.models import PspCall
from billing.services import card_adoption, psp_calls
from billing.services.card_credit import has_outlived_key
from billing.services.card_renewals import follow_invoice
from billing.services.psp import Processor, ProcessorRejected
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident

#: Calls that a saved card causes for what is billed by card already.
CARD = Q(op__in=["customer.update", "subscription.update", "invoice.pay"], idempotency_key__startswith="card:")
#: Pages whose address nobody was shown: they close by themselves and have no effect.
_PAGES = Q(op="session.create", idempotency_key__startswith="card:") | Q(op="portal.create")
_CREDIT = Q(op="invoice_item.create")
_MINE = CARD | card_adoption.MINE
_PAGE_FORGOTTEN = timedelta(minutes=10)


def send_calls(*, organization_id: int, now: datetime) -> None:
    """Send what one Organization's card has caused, now; what gets no answer is the sweep's."""
    mine = PspCall.objects.undecided().filter(_MINE, organization_id=organization_id)
    # In the order of the intents: the customer's default first, then subscriptions, then what is due.
    psp_calls.drive_now(mine.order_by("pk"), partial(_send, now=now))


def sweep_card_calls(*, now: datetime) -> int:
    """Bring every call about cards that is due to an outcome; return how many were tried."""
    due = PspCall.objects.undecided().filter(next_action_at__lte=Now())
    forgotten = due.filter(_PAGES, first_sent_at__lt=Now() - _PAGE_FORGOTTEN)
    forgotten.update(state="absent", resolved_at=Now())
    return psp_calls.drive(due.filter(_MINE | _CREDIT).order_by("pk"), partial(_send, now=now))


def _send(processor: Processor, call: PspCall, *, now: datetime) -> None:
    if call.op == "invoice_item.create":
        follow_invoice(processor, str(call.params["invoice"]), actor="sweeper", now=now)
    elif call.op == "subscription.create":
        card_adoption.adopt(processor, call, now=now)
    else:
        _tell(processor, call, now=now)


def _tell(processor: Processor, call: PspCall, *, now: datetime) -> None:
    """Send one call that names a state to be in, so that a repetition at any age does no harm."""
    state = "succeeded"
    fp("card.tell.before_call")
    try:
        if call.op == "invoice.pay" and has_outlived_key(call):
            state = "absent"
        else:
            processor.create(call.op, call.params, key=call.idempotency_key)
    except ProcessorRejected as error:
        state = "rejected"
        if call.op == "customer.update":
            open_incident(kind="card_not_saved", subject=call.idempotency_key, detail=str(error.extra))
    fp("card.tell.after_call_before_record")
    psp_calls.resolve(key=call.idempotency_key, state=state)
    if call.op == "invoice.pay":
        follow_invoice(processor, str(call.params["invoice"]), actor="card", now=now)
