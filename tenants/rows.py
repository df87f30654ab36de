"""Whole rows of several models by a statement written here by hand: what `select_related` finds, without its price.

Django puts such a query together anew at every look, which takes many times as long as the database does; the database
plans it once (tenants/plans.py). For what each page under /r/ asks, and for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Model

from tenants.plans import Planned


class Joined:
    """The models of a join by their names in it: `Joined("a JOIN b ON …", a=A, b=B)`."""

    def __init__(self, source: str, **models: type[Model]) -> None:
        self._parts = [(name, model, model._meta.concrete_fields) for name, model in models.items()]
        columns = [f'{name}."{field.column}"' for name, _model, fields in self._parts for field in fields]
        self._planned: dict[str, Planned] = {}
        self._asked = f"SELECT {', '.join(columns)} FROM {source} WHERE "  # noqa: S608

    def one(self, where: str, facts: Mapping[str, Any]) -> dict[str, Any] | None:
        """The first of `all`, if there is any."""
        return next(iter(self.all(where, facts)), None)

    def all(self, where: str, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Of each row for which `where` holds, the instances by name; of an outer join's missing row, None."""
        planned = self._planned.get(where) or self._planned.setdefault(where, Planned(self._asked + where))
        return [self._found(row) for row in planned.rows(facts)]

    def _found(self, row: Sequence[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        values = iter(row)
        for name, model, fields in self._parts:
            mine = {field.attname: _read(field, next(values)) for field in fields}
            is_there = mine[model._meta.pk.attname] is not None
            found[name] = model.from_db(connection.alias, list(mine), list(mine.values())) if is_there else None
        return found


def _read(field: Any, value: Any) -> Any:
    """The value as the field gives it: JSON, for one, comes as text."""
    return field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
