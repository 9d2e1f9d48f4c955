"""The Sovereign's one row, read by nearly every page."""

from typing import Any

from catalyst.core.database import fetch_one
from catalyst.core.rows import Rows
from tenancy.models import Sovereign

_SOVEREIGN = Rows(Sovereign)
#: The statement itself, for a hot path that sends it together with others; ``read_sovereign`` reads its row.
FIND_SOVEREIGN = f"SELECT {_SOVEREIGN.columns('s')} FROM tenancy_sovereign AS s WHERE s.id = 1"  # noqa: S608


def get_sovereign() -> Sovereign:
    """Return the Sovereign.

    :raises Sovereign.DoesNotExist: the deployment was never set up (``manage.py setup_sovereign``).
    """
    return read_sovereign(fetch_one(FIND_SOVEREIGN, prepared=True))


def read_sovereign(row: tuple[Any, ...] | None) -> Sovereign:
    """Return the Sovereign of a row that ``FIND_SOVEREIGN`` gave.

    :raises Sovereign.DoesNotExist: as ``get_sovereign``.
    """
    if row is None:
        raise Sovereign.DoesNotExist
    return _SOVEREIGN.read(row)
