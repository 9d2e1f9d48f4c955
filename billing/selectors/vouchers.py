"""Vouchers as their managers see them."""

from django.db.models import QuerySet

from billing.models import Redemption, Voucher

_MOST_REDEMPTIONS = 200


def list_vouchers() -> QuerySet[Voucher]:
    """Return every Voucher ever issued."""
    return Voucher.objects.all()


def find_voucher(code_key: bytes) -> Voucher | None:
    """Return the Voucher whose look-up key this is, revoked ones included."""
    return Voucher.objects.filter(code_key=code_key).first()


def list_redemptions(voucher: Voucher) -> list[Redemption]:
    """Return the newest redemptions that took place, each with its Organization and order."""
    took_place = [Redemption.State.REDEEMED, Redemption.State.REVERSED]
    rows = Redemption.objects.filter(voucher=voucher, state__in=took_place).order_by("-id")
    return list(rows.select_related("organization__organization", "checkout__order")[:_MOST_REDEMPTIONS])
