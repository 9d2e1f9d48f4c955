"""What each campaign of Vouchers has cost and may still cost. Amounts are minor units.

Credit has no name on it: how much of a campaign's credit is spent is told by "oldest credit first", over all credit
that an Organization ever had. Source: docs/vouchers.md, "Campaigns".
"""

from dataclasses import dataclass
from datetime import datetime

from catalyst.core.database import fetch_all
from tenancy.models import Sovereign


@dataclass(frozen=True, slots=True)
class Campaign:
    """One line. Vouchers without a campaign stand together under an empty name.

    ``live``, ``paused``, ``revoked`` and ``ended`` count codes and add up to ``issued``. ``exposure_minor`` is what the
    live and paused codes may still give, those without a cap left out: ``uncapped`` says how many there are.
    """

    campaign: str
    issued: int
    live: int
    paused: int
    revoked: int
    ended: int
    redemptions: int
    organizations: int
    granted_minor: int
    taken_back_minor: int
    spent_minor: int
    exposure_minor: int
    uncapped: int

    @property
    def unspent_minor(self) -> int:
        """Return what still lies on the balances of those who redeemed."""
        return self.granted_minor - self.spent_minor


@dataclass(frozen=True, slots=True)
class CampaignReport:
    sovereign: str
    currency: str
    campaigns: list[Campaign]


def campaign_report(*, sovereign: Sovereign, now: datetime) -> CampaignReport:
    """Return every campaign, the most expensive first."""
    currency = str(sovereign.currency_id)
    rows = fetch_all(_REPORT, {"now": now, "currency": currency})
    return CampaignReport(sovereign.domain, currency, [Campaign(*row) for row in rows])


# ``credit``: what an account was given and nobody took back, in its order, with how much came before. What is gone from
# the account was taken from the oldest; a refund comes back to the newest.
_REPORT = """
WITH codes AS (
  SELECT campaign, count(*) AS issued,
    count(*) FILTER (WHERE revoked_at IS NOT NULL) AS revoked,
    count(*) FILTER (WHERE revoked_at IS NULL AND ends_at <= %(now)s) AS ended,
    count(*) FILTER (WHERE is_open AND active) AS live,
    count(*) FILTER (WHERE is_open AND NOT active) AS paused,
    count(*) FILTER (WHERE is_open AND max_redemptions IS NULL) AS uncapped,
    coalesce(sum((max_redemptions - redeemed_count) * grant_minor) FILTER (WHERE is_open), 0) AS exposure
  FROM (SELECT *, revoked_at IS NULL AND (ends_at IS NULL OR ends_at > %(now)s) AS is_open
    FROM billing_voucher WHERE currency = %(currency)s) voucher
  GROUP BY campaign),
uses AS (
  SELECT v.campaign, count(*) FILTER (WHERE r.state = 'redeemed') AS redemptions,
    count(DISTINCT r.organization_id) FILTER (WHERE r.state = 'redeemed') AS organizations,
    coalesce(sum(r.grant_minor) FILTER (WHERE r.state = 'redeemed'), 0) AS granted,
    coalesce(sum(r.grant_minor) FILTER (WHERE r.state = 'reversed'), 0) AS taken_back
  FROM billing_redemption r JOIN billing_voucher v ON v.id = r.voucher_id
  WHERE v.currency = %(currency)s AND r.state IN ('redeemed', 'reversed') GROUP BY v.campaign),
credit AS (
  SELECT e.organization_id, e.redemption_id, e.amount_minor,
    sum(e.amount_minor) OVER (PARTITION BY e.organization_id) - a.posted_minor AS gone,
    sum(e.amount_minor) OVER (PARTITION BY e.organization_id ORDER BY e.seq) - e.amount_minor AS before
  FROM billing_ledgerentry e JOIN billing_account a USING (organization_id)
  WHERE a.currency = %(currency)s AND e.amount_minor > 0 AND e.kind NOT IN ('refund', 'reversal')
    AND NOT EXISTS (SELECT 1 FROM billing_ledgerentry back
      WHERE back.organization_id = e.organization_id AND back.reverses_seq = e.seq)),
spent AS (
  SELECT v.campaign, sum(greatest(0, least(c.amount_minor, c.gone - c.before))) AS spent
  FROM credit c JOIN billing_redemption r ON r.organization_id = c.organization_id AND r.id = c.redemption_id
  JOIN billing_voucher v ON v.id = r.voucher_id GROUP BY v.campaign)
SELECT codes.campaign, issued, live, paused, revoked, ended, coalesce(redemptions, 0), coalesce(organizations, 0),
  coalesce(granted, 0)::bigint, coalesce(taken_back, 0)::bigint, coalesce(spent, 0)::bigint, exposure::bigint, uncapped
FROM codes LEFT JOIN uses USING (campaign) LEFT JOIN spent USING (campaign)
ORDER BY coalesce(granted, 0) DESC, codes.campaign
"""
