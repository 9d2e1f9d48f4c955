"""The Sovereign's one row, read by nearly every page."""

from catalyst.core.database import fetch_one
from catalyst.core.rows import Rows
from tenancy.models import Sovereign

_SOVEREIGN = Rows(Sovereign)
_FIND = f"SELECT {_SOVEREIGN.columns('s')} FROM tenancy_sovereign AS s WHERE s.id = 1"  # noqa: S608


def get_sovereign() -> Sovereign:
    """Return the Sovereign.

    :raises Sovereign.DoesNotExist: the deployment was never set up (``manage.py setup_sovereign``).
    """
    row = fetch_one(_FIND, prepared=True)
    if row is None:
        raise Sovereign.DoesNotExist
    return _SOVEREIGN.read(row)
