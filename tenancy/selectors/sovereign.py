"""The Sovereign's one row, read by nearly every page."""

from tenancy.models import Sovereign


def get_sovereign() -> Sovereign:
    """Return the Sovereign.

    :raises Sovereign.DoesNotExist: the deployment was never set up (``manage.py setup_sovereign``).
    """
    return Sovereign.objects.get(pk=1)
