"""A Git server's word that something was pushed: the signature first, one inbox row for each body, and a look.

Nothing that it says is believed: what stands on ``main`` is read from the repository. Source: docs/delivery.md;
Gitea's and GitHub's documentation on webhooks (``X-Hub-Signature-256``).
"""

import hashlib
import json
import re
from typing import Final
from uuid import UUID

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from marketplace.models import Change, GitHint
from marketplace.services.cluster_looks import hint
from marketplace.services.flux import NO_KEY, SignatureRefused, is_signed
from tenancy.models import Environment
from tenancy.services.environments import environment_flux_key

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def receive_push(*, environment_uuid: UUID, body: bytes, signature: str) -> bool:
    """Store one message and look at its Environment soon; False when the same body was stored before.

    :raises SignatureRefused: not signed with this Environment's key, or there is no such Environment.
    """
    environment = Environment.objects.filter(uuid=environment_uuid).first()
    key = environment_flux_key(environment) if environment else NO_KEY
    if not is_signed(body, signature, key) or environment is None:
        raise SignatureRefused(_("The signature is not valid."))
    return _store(environment=environment, body=body)


@use_case
def _store(*, environment: Environment, body: bytes) -> bool:
    _row, is_new = GitHint.objects.get_or_create(
        environment=environment, body_hash=hashlib.sha256(body).digest(), defaults={"commit": _commit_of(body)}
    )
    if is_new:
        hint(environment_id=environment.pk)
        # What waits to be saved is looked at by the next sweep, which compares ``main`` with what we wrote.
        waiting = Change.objects.filter(environment=environment, state=Change.State.COMMITTING)
        waiting.update(next_action_at=Now())
    return is_new


def _commit_of(body: bytes) -> str:
    """Return the commit that the body names, for people who read the inbox; nothing else is taken from it."""
    try:
        after = json.loads(body).get("after")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return after if isinstance(after, str) and _COMMIT.fullmatch(after) else ""
