"""Sizes and names that the seed, the floor and the load agree on. No Django here: the load generator starts quickly."""

#: Organizations 1 … PRODUCT buy over HTTP, those after it by pgbench; each buys once.
PRODUCT = 24_000
FLOOR = 60_000
VOUCHERS = 10_000
HOT, SCARCE = VOUCHERS + 1, VOUCHERS + 2
SCARCE_CAP = 100
#: Covers the whole order, so no checkout needs a card.
GRANT_MINOR = 200_000
#: What ``grow`` makes of the ledger, and whose chain is the long one.
ENTRIES = 3_000_000
LONG_CHAIN, LONG_CHAIN_ENTRIES = PRODUCT + FLOOR + 1, 100_000
#: What the processor's webhooks are signed with.
WEBHOOK_SECRET = "whsec_bench"
PLAN, BLUEPRINT = "s", "bp-wordpress"


def voucher_code(number: int) -> str:
    """Return the code of a voucher, by its primary key."""
    return f"BENCH{number:05d}"


def slug(organization: int) -> str:
    """Return the slug of an Organization, by its primary key."""
    return f"bench-{organization:07d}"


def token(organization: int) -> str:
    """Return the API token of an Organization's administrator."""
    return f"cat_bench{organization:08d}"
