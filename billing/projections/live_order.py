"""The order page's live part: whatever happens to the order or its Applications redraws the timeline."""

from django.template.loader import render_to_string

from billing.selectors.order_progress import order_progress
from billing.selectors.orders import list_all_orders
from catalyst.core.http.streams import StreamAccess, ViewFrame, register_view
from catalyst.core.outbox import Message
from tenancy.selectors.sovereign import get_sovereign

_TOPICS = ("order.", "change.", "application.", "environment.")


def render_order(access: StreamAccess, number: str, message: Message) -> ViewFrame | None:
    """Draw the timeline anew when an event may have moved it; the rows are read from the projection."""
    if not message.topic.startswith(_TOPICS):
        return None
    organization_id = int(access.stream.removeprefix("organization:"))
    order = list_all_orders().filter(number=number, organization_id=organization_id).first()
    if order is None or (access.env_types is not None and order.checkout.env_type not in access.env_types):
        return None
    progress = order_progress(order)
    html = render_to_string("billing/timeline.html", {"progress": progress, "sovereign": get_sovereign()})
    # The last frame is a picture like any other, marked "data-over": the page reloads itself when it sees it.
    return ViewFrame(html=html)


register_view("order", render_order)
