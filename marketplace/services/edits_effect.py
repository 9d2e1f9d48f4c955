"""What an edit does to the rows, in the transaction that records its commit and never before.

Source: docs/delivery.md.
"""

from collections.abc import Collection

from marketplace.models import Application, Change
from marketplace.selectors.edits import FIELDS, apply_edits, edits_of, newly_needed
from marketplace.selectors.installed import standing_applications


def take_edits_effect(change: Change, introduced: Collection[str]) -> list[str]:
    """Let the rows say what ``main`` says now; a step. Return the names of the Applications that it touched.

    ``introduced`` names what the commit brought. Who needs an Application is added to its row as that stands today: a
    removal that was planned meanwhile may have taken others out of it.
    """
    rows = list(standing_applications(change.environment_id).select_for_update(of=("self",), no_key=True))
    edits = edits_of(change)
    leaving = [edit.application_id for edit in edits if edit.removes]
    Application.objects.filter(pk__in=leaving).update(removed_by=change)
    rows = [row for row in rows if row.pk not in leaving]
    apply_edits(rows, edits)
    edited = [edit.application_id for edit in edits]
    Application.objects.bulk_update([row for row in rows if row.pk in edited], [*FIELDS, "state"])
    # Of two with one name the younger one stands in the tree.
    brought = {row.slug: row.pk for row in rows if row.slug in introduced}
    Application.objects.filter(pk__in=brought.values()).update(change=change)
    touched = sorted({*(edit.application.slug for edit in edits), *introduced})
    needed = newly_needed(rows, touched)
    for row in rows:
        if row.slug in needed:
            row.requested_by = sorted({*row.requested_by, *needed[row.slug]})
    Application.objects.bulk_update([row for row in rows if row.slug in needed], ["requested_by"])
    return touched
