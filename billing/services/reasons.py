"""Whoever moves money by hand says why: the reason goes to the audit trail and, for a refund, onto the document."""

from http import HTTPStatus

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError

_LONGEST = 500


class ReasonRequired(DomainError):
    code = "reason_required"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def check_reason(reason: str) -> str:
    """Return the reason without the space around it.

    :raises ReasonRequired: it is empty, or longer than a document has room for.
    """
    text = reason.strip()
    if not text or len(text) > _LONGEST:
        raise ReasonRequired(_("Write down the reason, in 500 characters at most."), pointer="/reason")
    return text
