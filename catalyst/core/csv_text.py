"""Tables as CSV for people who open them in a spreadsheet, which would run a cell that begins like a formula.

Source: OWASP, "CSV Injection".
"""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

#: Spreadsheets tell by this mark that the text is UTF-8, which Arabic needs.
_MARK = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_csv(rows: Iterable[Sequence[object]]) -> str:
    """Return the rows as CSV with a byte order mark; text that a spreadsheet would take for a formula is quoted."""
    text = StringIO()
    text.write(_MARK)
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([safe_cell(cell) for cell in row])
    return text.getvalue()


def safe_cell(value: object) -> object:
    """Return a cell that stays text in a spreadsheet. Numbers are left alone, negative ones too."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value
