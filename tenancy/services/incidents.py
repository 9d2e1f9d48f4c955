"""Close an incident in the name of the person who looked and acted."""

from catalyst.core.database import use_case
from catalyst.core.incidents import resolve_incident
from tenancy.models import User
from tenancy.services.audit import SOVEREIGN_STREAM, append_audit


@use_case
def close_incident(*, incident_id: int, actor: User) -> None:
    """Close an open incident, with its audit row.

    :raises NotFound: there is no open incident with this id.
    """
    resolve_incident(incident_id=incident_id, actor=f"user:{actor.uuid}")
    append_audit(
        stream=SOVEREIGN_STREAM, actor=actor, action="incident.resolved", target=f"incident:{incident_id}", detail={}
    )
