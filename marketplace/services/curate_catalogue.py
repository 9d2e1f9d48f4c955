"""What staff do to catalogue rows. From the first edit on, the shipped seed leaves a row alone."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from marketplace.models.catalogue import CatalogueRow


def save_edited(*, row: CatalogueRow, fields: Iterable[str], now: datetime) -> None:
    """Save what a form changed and nothing else; call inside a transaction."""
    row.edited_at = now
    if row.pk is None:
        row.save()
    else:
        row.save(update_fields=sorted({*fields, "edited_at"}))


def retire(*, row: CatalogueRow, now: datetime) -> bool:
    """Take a row off every list; what was bought keeps running. False when it was retired before."""
    return bool(_same(row).filter(retired_at=None).update(retired_at=now, edited_at=now))


def restore(*, row: CatalogueRow, now: datetime) -> bool:
    """Put a retired row back. False when it was not retired."""
    return bool(_same(row).exclude(retired_at=None).update(retired_at=None, edited_at=now))


def _same(row: CatalogueRow) -> Any:
    return type(row)._default_manager.filter(pk=row.pk)
