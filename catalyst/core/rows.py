"""Model instances out of plain SQL, for statements that every request of a hot path makes.

Building such a query in the ORM costs several times what Postgres needs to answer it. Elsewhere the ORM is right.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Model
from django.db.models.base import ModelState

AnyModel = TypeVar("AnyModel", bound=Model)


class Rows(Generic[AnyModel]):
    """The columns of one model for a SELECT list, and instances out of what comes back."""

    def __init__(self, model: type[AnyModel]) -> None:
        self._model = model
        self._fields = model._meta.concrete_fields
        self._names = [field.attname for field in self._fields]
        # Such as JSON, which raw SQL hands over as text.
        self._converted = [
            (position, field) for position, field in enumerate(self._fields) if hasattr(field, "from_db_value")
        ]

    def __len__(self) -> int:
        return len(self._names)

    def columns(self, alias: str) -> str:
        """Return the SELECT list of the table under this alias, in the order that ``read`` expects."""
        return ", ".join(f'{alias}."{field.column}"' for field in self._fields)

    def read(self, values: Sequence[Any]) -> AnyModel:
        """Return the instance that the ORM would have loaded from these columns."""
        row = list(values)
        for position, field in self._converted:
            row[position] = field.from_db_value(row[position], None, connection)
        # As ``from_db`` does, without the loop of ``__init__`` over every field: all of them are here, in order.
        instance = self._model.__new__(self._model)
        instance._state = ModelState()
        instance._state.db, instance._state.adding = DEFAULT_DB_ALIAS, False
        instance.__dict__.update(zip(self._names, row, strict=True))
        return instance
