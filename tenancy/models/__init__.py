"""Who there is: people, the Sovereign, Organizations, Memberships, Environments, tokens, the audit trail."""

from tenancy.models.access import ApiToken, AuditEntry, AuditHead
from tenancy.models.domain import Domain
from tenancy.models.invitation import Invitation
from tenancy.models.organization import Environment, Membership, Organization
from tenancy.models.sovereign import Sovereign
from tenancy.models.summary import OrganizationSummary
from tenancy.models.user import User

__all__ = [
    "ApiToken",
    "AuditEntry",
    "AuditHead",
    "Domain",
    "Environment",
    "Invitation",
    "Membership",
    "Organization",
    "OrganizationSummary",
    "Sovereign",
    "User",
]
