"""What the Plan of an Environment gives it, for those below who must not exceed it."""

from billing.models import Subscription
from marketplace.models import Plan
from marketplace.selectors.capacity import Footprint, plan_footprint, register_capacity
from tenancy.models import Environment


@register_capacity
def plan_capacity(environment: Environment) -> Footprint | None:
    """Return the capacity of the Plan that is subscribed for an Environment, None when none is."""
    live = Subscription.objects.filter(organization_id=environment.organization_id, env_type=environment.env_type)
    slug = live.exclude(state=Subscription.State.CANCELED).values_list("plan", flat=True).first()
    plan = Plan.objects.filter(slug=slug).first() if slug else None
    return plan_footprint(plan) if plan else None
