"""What the business looks like: revenue that recurs (Subscriptions), that was billed (Invoices), the cost of Vouchers.

Amounts are minor units, VAT included. Months are those of the Sovereign's zone. MRR is what the Subscriptions that are
not suspended or ended cost for a month, as they stood at that moment; it never looks at Orders. Only the
Sovereign's currency is counted. Every report carries its domain, by which a franchisor adds up many Sovereigns.
Source: docs/reports.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from catalyst.core.database import fetch_all, fetch_one
from tenancy.models import Sovereign

MOST_MONTHS = 60


@dataclass(frozen=True, slots=True)
class Month:
    """One month. ``mrr_minor`` stands at its end (now, for the running one); ``churned`` Subscriptions ended in it.

    ``billed_minor`` is the total of the Invoices issued in it, paid by ``credit_minor`` and ``card_minor``;
    ``refunded_minor`` what the Credit notes issued in it gave back: a card part that failed is not back.
    """

    start: datetime
    mrr_minor: int
    live: int
    started: int
    churned: int
    lost_mrr_minor: int
    billed_minor: int
    credit_minor: int
    card_minor: int
    tax_minor: int
    refunded_minor: int
    live_before: int

    @property
    def churn_percent(self) -> float:
        """Return the ended share of the Subscriptions that lived when the month began, in percent."""
        return round(100 * self.churned / self.live_before, 1) if self.live_before else 0.0

    @property
    def label(self) -> str:
        return self.start.strftime("%Y-%m")

    @property
    def shown(self) -> str:
        """Return the month as a table shows it: nothing in it wraps."""
        return self.start.strftime("%m/%Y")


@dataclass(frozen=True, slots=True)
class PlanRevenue:
    """What was billed for one Plan in the report's months, and its Subscriptions today."""

    plan: str
    live: int
    mrr_minor: int
    billed_minor: int
    refunded_minor: int


@dataclass(frozen=True, slots=True)
class CampaignCost:
    """The credit that a campaign's Vouchers gave, less what was taken back; Vouchers without a campaign stand alone."""

    campaign: str
    redemptions: int
    granted_minor: int


@dataclass(frozen=True, slots=True)
class Report:
    sovereign: str
    currency: str
    months: list[Month]
    plans: list[PlanRevenue]
    campaigns: list[CampaignCost]
    credit_outstanding_minor: int
    credit_held_minor: int


def revenue_report(*, sovereign: Sovereign, months: int, now: datetime) -> Report:
    """Return the report of the last ``months`` months, the running one included (1 … 60)."""
    months = max(1, min(months, MOST_MONTHS))
    starts = month_starts(now.astimezone(ZoneInfo(sovereign.time_zone)), months)
    bounds = [*starts[1:], now]
    currency = str(sovereign.currency_id)
    span = {"since": starts[0], "until": now, "currency": currency}
    row = fetch_one(_CREDIT, {"currency": currency})
    assert row is not None
    return Report(
        sovereign=sovereign.domain,
        currency=currency,
        months=[_month(start, end, currency) for start, end in zip(starts, bounds, strict=True)],
        plans=[PlanRevenue(*each) for each in fetch_all(_PLANS, span)],
        campaigns=[CampaignCost(*each) for each in fetch_all(_CAMPAIGNS, span)],
        credit_outstanding_minor=row[0],
        credit_held_minor=row[1],
    )


def month_starts(now: datetime, months: int) -> list[datetime]:
    """Return the beginnings of the last months, oldest first, in the zone of ``now``."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return [first - relativedelta(months=back) for back in range(months - 1, -1, -1)]


def _month(start: datetime, end: datetime, currency: str) -> Month:
    row = fetch_one(_MONTH, {"start": start, "end": end, "currency": currency})
    assert row is not None
    return Month(start, *row)


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as the API shows it."""

    def money(amount_minor: int) -> dict[str, Any]:
        return {"amount": amount_minor, "currency": report.currency}

    return {
        "sovereign": report.sovereign,
        "currency": report.currency,
        "credit_outstanding": money(report.credit_outstanding_minor),
        "credit_held": money(report.credit_held_minor),
        "months": [_month_json(month, money) for month in report.months],
        "plans": [
            {
                "plan": plan.plan,
                "subscriptions": plan.live,
                "mrr": money(plan.mrr_minor),
                "billed": money(plan.billed_minor),
                "refunded": money(plan.refunded_minor),
            }
            for plan in report.plans
        ],
        "campaigns": [
            {"campaign": each.campaign, "redemptions": each.redemptions, "granted": money(each.granted_minor)}
            for each in report.campaigns
        ],
    }


def _month_json(month: Month, money: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    return {
        "month": month.label,
        "mrr": money(month.mrr_minor),
        "subscriptions": month.live,
        "started": month.started,
        "churned": month.churned,
        "churn_percent": month.churn_percent,
        "lost_mrr": money(month.lost_mrr_minor),
        "billed": money(month.billed_minor),
        "credit": money(month.credit_minor),
        "card": money(month.card_minor),
        "tax": money(month.tax_minor),
        "refunded": money(month.refunded_minor),
    }


# A Subscription at a moment: its last step until then; before its first step it is as its Order sold it.
_STANDING = """
  SELECT s.id, coalesce(e.to_state, 'active') AS state, coalesce(e.monthly_minor, o.monthly_minor) AS monthly
  FROM billing_subscription s JOIN billing_order o ON o.id = s.order_id
  LEFT JOIN LATERAL (SELECT to_state, monthly_minor FROM billing_subscriptionevent
    WHERE subscription_id = s.id AND at < {moment} ORDER BY seq DESC LIMIT 1) e ON true
  WHERE s.created_at < {moment} AND s.currency = %(currency)s
"""

_MONTH = f"""
WITH standing AS ({_STANDING.format(moment="%(end)s::timestamptz")}),
before AS ({_STANDING.format(moment="%(start)s::timestamptz")}),
ended AS (
  SELECT e.subscription_id, coalesce(b.monthly, e.monthly_minor) AS monthly
  FROM billing_subscriptionevent e JOIN billing_subscription s ON s.id = e.subscription_id
  LEFT JOIN before b ON b.id = e.subscription_id
  WHERE s.currency = %(currency)s AND e.to_state = 'canceled' AND e.at >= %(start)s AND e.at < %(end)s),
billed AS (
  SELECT coalesce(sum(total_minor), 0)::bigint AS total, coalesce(sum(credit_minor), 0)::bigint AS credit,
    coalesce(sum(card_minor), 0)::bigint AS card, coalesce(sum(tax_minor), 0)::bigint AS tax
  FROM billing_invoice WHERE currency = %(currency)s AND state = 'paid'
    AND issued_at >= %(start)s AND issued_at < %(end)s)
SELECT
  (SELECT coalesce(sum(monthly), 0)::bigint FROM standing WHERE state IN ('active', 'past_due')),
  (SELECT count(*) FROM standing WHERE state <> 'canceled'),
  (SELECT count(*) FROM billing_subscription
    WHERE currency = %(currency)s AND created_at >= %(start)s AND created_at < %(end)s),
  (SELECT count(*) FROM ended),
  (SELECT coalesce(sum(monthly), 0)::bigint FROM ended),
  total, credit, card, tax,
  (SELECT coalesce(sum(n.credit_minor + CASE WHEN n.state = 'refund_failed' THEN 0 ELSE n.card_minor END), 0)::bigint
    FROM billing_creditnote n JOIN billing_invoice i ON i.id = n.invoice_id
    WHERE i.currency = %(currency)s AND n.issued_at >= %(start)s AND n.issued_at < %(end)s),
  (SELECT count(*) FROM before WHERE state <> 'canceled')
FROM billed
"""  # noqa: S608  (statements of our own)

_CREDIT = """
SELECT coalesce(sum(posted_minor), 0)::bigint, coalesce(sum(held_minor), 0)::bigint
FROM billing_account WHERE currency = %(currency)s
"""

_PLANS = """
WITH live AS (
  SELECT plan, count(*) AS live, sum(monthly_minor) FILTER (WHERE state IN ('active', 'past_due')) AS mrr
  FROM billing_subscription WHERE currency = %(currency)s AND state <> 'canceled' GROUP BY plan),
billed AS (
  SELECT coalesce((SELECT line ->> 'reference' FROM jsonb_array_elements(i.lines) AS line
      WHERE line ->> 'kind' = 'plan' LIMIT 1), s.plan, '') AS plan,
    sum(i.total_minor) AS billed, sum(i.credit_refunded_minor + i.card_refunded_minor) AS refunded
  FROM billing_invoice i LEFT JOIN billing_subscription s ON s.id = i.subscription_id
  WHERE i.currency = %(currency)s AND i.state = 'paid' AND i.issued_at >= %(since)s AND i.issued_at < %(until)s
  GROUP BY 1)
SELECT plan, coalesce(live, 0), coalesce(mrr, 0)::bigint, coalesce(billed, 0)::bigint, coalesce(refunded, 0)::bigint
FROM live FULL JOIN billed USING (plan) ORDER BY coalesce(billed, 0) DESC, plan
"""

_CAMPAIGNS = """
SELECT v.campaign, count(*) FILTER (WHERE e.kind = 'voucher_grant'), sum(e.amount_minor)::bigint
FROM billing_ledgerentry e
LEFT JOIN billing_ledgerentry g ON g.organization_id = e.organization_id AND g.seq = e.reverses_seq
JOIN billing_redemption r ON r.id = coalesce(e.redemption_id, g.redemption_id)
JOIN billing_voucher v ON v.id = r.voucher_id
WHERE v.currency = %(currency)s AND e.created_at >= %(since)s AND e.created_at < %(until)s
  AND coalesce(g.kind, e.kind) = 'voucher_grant'
GROUP BY v.campaign ORDER BY 3 DESC, 1
"""
