"""From statements, built of the models, to the text that a driver takes."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement


class Compiled:
    """Compiles for one dialect."""

    def __init__(self, dialect: str, schema: str | None) -> None:
        self.dialect = dialect
        self.insert: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert
        self._dialect = sqlite.dialect if dialect == "sqlite" else postgresql.dialect
        self._styles = ("named", "qmark") if dialect == "sqlite" else ("pyformat", "format")
        self._schema = schema

    def compile(self, statement: ClauseElement, *, positional: bool = False) -> str:
        """The statement as text."""
        options: dict[str, Any] = {}
        if self._schema is not None:
            options["schema_translate_map"] = {None: self._schema}
            options["render_schema_translate"] = True
        dialect = self._dialect(paramstyle=self._styles[positional])
        return str(statement.compile(dialect=dialect, **options))


def sql(
    build: Callable[[Any], ClauseElement], *, positional: bool = False
) -> "cached_property[str]":
    """A statement that is compiled when it is first used."""
    return cached_property(lambda self: self.compile(build(self), positional=positional))
