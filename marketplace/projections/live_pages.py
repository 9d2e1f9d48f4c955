"""The live parts of console pages about Applications, Changes, Jobs and Environments.

An argument is the name of an Environment for lists, and an id for the page of one Change or Job.
"""

from catalyst.core.http.live_pages import concerns_member, register_page
from catalyst.core.outbox import Message


def _concerns_change(change: str, message: Message) -> bool:
    """Tell whether an event is about one Change: its own, or of an Application, which may be what it waits for."""
    return message.topic.startswith("application.") or str(message.payload.get("change") or "") == change


_environment = concerns_member("environment")
register_page("applications", ("application.", "environment.", "change.", "secret."), concerns=_environment)
register_page("changes", ("change.", "policy."), concerns=_environment)
register_page("change", ("change.", "application.", "policy."), concerns=_concerns_change)
register_page("jobs", ("job.",))
register_page("job", ("job.",), concerns=concerns_member("job"))
register_page("environments", ("environment.", "change.", "application.", "organization.", "job."))
