"""How the tables of a SQLite file differ from those that this version declares.

Stricter than Alembic's comparison, which sees neither a partial index's condition nor AUTOINCREMENT
nor ON DELETE. Only the order of columns, which ALTER TABLE cannot choose, and quotes are free.
"""

import re
from typing import TYPE_CHECKING

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from chatstore.sql.models import Base

if TYPE_CHECKING:
    from chatstore.sql.engine.conn import Conn

_TOP_LEVEL_COMMA = re.compile(r",(?![^(]*\))")


def differences(conn: "Conn") -> list[str]:
    """One sentence for each table or index that is missing or different."""
    rows = conn.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    found = {name: normalised(sql) for name, sql in rows}
    problems = []
    for name, sql in declared().items():
        if name not in found:
            problems.append(f"{name} is missing")
        elif found[name] != normalised(sql):
            there, wanted = set(found[name]), set(normalised(sql))
            problems += [f"{name} lacks {part!r}" for part in sorted(wanted - there)]
            problems += [f"{name} has {part!r} besides" for part in sorted(there - wanted)]
    return problems


def declared() -> dict[str, str]:
    """The SQL of each table and index of ours."""
    dialect = sqlite.dialect()
    sql = {}
    for table in Base.metadata.sorted_tables:
        sql[table.name] = str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            sql[str(index.name)] = str(CreateIndex(index).compile(dialect=dialect))
    return sql


def normalised(sql: str) -> list[str]:
    """The parts of a CREATE statement without quotes and line breaks, in no order."""
    flat = " ".join(sql.replace('"', "").split())
    if not flat.startswith("CREATE TABLE"):
        return [flat]
    head, _, body = flat.partition("(")
    parts = _TOP_LEVEL_COMMA.split(body.rstrip().removesuffix(")"))
    return [head.strip(), *sorted(part.strip() for part in parts)]
