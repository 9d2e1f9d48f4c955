"""The sweep of subscriptions, and what follows their events and new credit."""

from celery import shared_task
from django.utils import timezone

from billing.services import subscription_mail, subscription_sweep
from catalyst.core.outbox import Message, subscribe

_STREAM = "organization:"


@shared_task(name="billing.sweep_subscriptions")
def sweep_subscriptions_task() -> None:
    """Renew, warn, pause and end what is due."""
    subscription_sweep.sweep_subscriptions(now=timezone.now())


def pay_debts(message: Message) -> None:
    """Try to pay what is owed: the Organization's credit may have grown."""
    organization_id = int(message.stream.removeprefix(_STREAM))
    subscription_sweep.pay_debts(organization_id=organization_id, now=timezone.now())


def mail_subscription(message: Message) -> None:
    """Tell the billing contact what happened."""
    subscription_mail.mail_subscription(topic=message.topic, payload=message.payload, event=message.key)


#: After each of these the Organization may have more to spend than before.
_MORE_CREDIT = (
    "voucher.redeemed",
    "credit.granted",
    "credit_note.issued",
    "order.paid",
    "account.unfrozen",
    "dispute.closed",
)

for _topic in _MORE_CREDIT:
    subscribe(_topic, name="billing.pay_debts")(pay_debts)
for _topic in subscription_mail.MAILS:
    subscribe(_topic, name="billing.mail_subscription")(mail_subscription)
