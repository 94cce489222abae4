"""Many rows of one model written with one prepared statement.

The ORM builds the text of a statement anew for each batch and asks each value's field several times: for a thousand rows of thirty
columns that takes much longer than the database does. Here the text is made once, and values are prepared by kind of field. Nothing
is read back and no signals are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

Prepare = Callable[[Any, BaseDatabaseWrapper], Any]
#: kinds of fields whose values go to the database as they are
PLAIN = (
    models.BooleanField, models.CharField, models.TextField, models.FloatField, models.IntegerField,
    models.BigIntegerField, models.PositiveIntegerField, models.PositiveSmallIntegerField, models.SmallIntegerField,
)  # fmt: skip


def insert(rows: Sequence[models.Model]) -> None:
    """Insert them. Keys that the database makes are not known afterwards."""
    if not rows:
        return
    alias = router.db_for_write(type(rows[0]))
    _execute(alias, _insertion(type(rows[0])), rows)
    for row in rows:
        row._state.adding = False
        row._state.db = alias


def update(rows: Sequence[models.Model], columns: tuple[str, ...]) -> None:
    """Write these columns (names of fields) of rows that exist."""
    if rows:
        alias = router.db_for_write(type(rows[0]))
        _execute(alias, _updating(type(rows[0]), columns), rows)


class _Statement:
    """SQL with one placeholder for each of ``fields``."""

    def __init__(self, sql: str, fields: Sequence[Any]) -> None:
        self.sql = sql
        self._read = attrgetter(*(field.attname for field in fields))
        prepared = ((index, _preparing(field)) for index, field in enumerate(fields))
        self._prepare = [(index, prepare) for index, prepare in prepared if prepare is not None]

    def parameters(self, row: models.Model, connection: BaseDatabaseWrapper) -> list[Any]:
        """The row's values as the database's driver takes them."""
        values = list(self._read(row))
        for index, prepare in self._prepare:
            if values[index] is not None:
                values[index] = prepare(values[index], connection)
        return values


def _execute(alias: str, statement: _Statement, rows: Sequence[models.Model]) -> None:
    connection = connections[alias]
    with transaction.atomic(alias, savepoint=False), connection.cursor() as cursor:
        cursor.executemany(statement.sql, [statement.parameters(row, connection) for row in rows])


@lru_cache(maxsize=100)
def _insertion(model: type[models.Model]) -> _Statement:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    places = ", ".join(["%s"] * len(fields))
    return _Statement(f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({places})', fields)  # noqa: S608 - our own names


@lru_cache(maxsize=100)
def _updating(model: type[models.Model], columns: tuple[str, ...]) -> _Statement:
    fields: list[Any] = [model._meta.get_field(name) for name in columns]
    key = model._meta.pk
    pairs = ", ".join(f'"{field.column}" = %s' for field in fields)
    sql = f'UPDATE "{model._meta.db_table}" SET {pairs} WHERE "{key.column}" = %s'  # noqa: S608 - our own names
    return _Statement(sql, [*fields, key])


def _preparing(field: Any) -> Prepare | None:
    """What makes a value of the field fit for the database's driver; None for those that are."""
    if isinstance(field, models.ForeignKey):
        return _preparing(field.target_field)
    if type(field) is models.CharField and field.choices:
        return lambda value, _connection: str(value)  # Of a choice its word.
    if type(field) in PLAIN or isinstance(field, models.AutoField):
        return None
    if type(field) is models.UUIDField:
        return _uuid
    if type(field) is models.DateTimeField:
        return lambda value, connection: connection.ops.adapt_datetimefield_value(value)
    if type(field) is models.JSONField:
        return lambda value, connection: connection.ops.adapt_json_value(value, field.encoder)
    return lambda value, connection: field.get_db_prep_save(value, connection)


def _uuid(value: UUID, connection: BaseDatabaseWrapper) -> UUID | str:
    return value if connection.features.has_native_uuid_field else value.hex
