"""The same on PostgreSQL: only when asked, in one transaction, one at a time."""

import shlex
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa

from chatstore import (
    ChatStoreError,
    SchemaOutdatedError,
    SchemaTooNewError,
    StoreCorruptError,
)
from chatstore.sql import schema
from chatstore.sql.engine import Database, open_database
from chatstore.sql.models import GAP, Base
from tests.migrations.support import DUMPS, FIRST, HEAD, Query, contents_of
from tests.migrations.test_alembic_command import alembic, spawned


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with closing(open_database(postgres_url)) as opened:
        yield opened


@pytest.fixture
def query(postgres_url: str) -> Iterator[Query]:
    with closing(psycopg.connect(postgres_url, autocommit=True)) as conn:

        def run(sql: str) -> list[tuple[Any, ...]]:
            cursor = conn.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture(params=schema.REVISIONS)
def released(request: pytest.FixtureRequest, query: Query) -> str:
    load(query, request.param)
    return str(request.param)


def test_nothing_is_made_unless_asked(database: Database, query: Query, postgres_url: str) -> None:
    with pytest.raises(SchemaOutdatedError) as caught:
        schema.ensure(database)
    assert f"`chatstore upgrade {shlex.quote(database.name)}`" in str(caught.value)
    password = urlsplit(postgres_url).password
    assert ("***" in database.name) == (password is not None)
    assert password is None or password not in str(caught.value)
    assert tables(query) == []
    schema.ensure(database, upgrade=True)
    assert tables(query) == sorted([*schema.TABLES, schema.VERSION_TABLE])
    schema.ensure(database)
    assert schema.check(database) == []


def test_nothing_is_upgraded_unless_asked(database: Database, query: Query) -> None:
    load(query, FIRST)
    with pytest.raises(SchemaOutdatedError, match=FIRST):
        schema.ensure(database)
    assert schema.current(database) == FIRST
    schema.ensure(database, upgrade=True)
    assert schema.current(database) == HEAD


def test_what_was_written_is_kept(database: Database, query: Query, released: str) -> None:
    before = contents_of(query)
    assert len(before["", "long"][-1]) > 300
    schema.upgrade(database)
    assert contents_of(query) == before
    assert schema.downgrade(database, FIRST)[:2] == (HEAD, FIRST)
    assert contents_of(query) == before
    dense = query(
        "SELECT min(ordinal), max(ordinal) + 1 = count(*) FROM chatstore_message"
        " GROUP BY conversation_id"
    )
    assert set(dense) == {(0, True)}
    schema.upgrade(database)
    assert contents_of(query) == before
    assert schema.check(database) == []
    assert query("SELECT nextval('chatstore_conversation_id_seq')") == [(78,)]


def test_counters_of_the_upgraded(database: Database, query: Query) -> None:
    load(query, FIRST)
    schema.upgrade(database)
    talks = query(
        "SELECT id, count, archived, next_ordinal, revision, base, active_from "
        "FROM chatstore_conversation"
    )
    for here, count, archived, next_ordinal, revision, base, active_from in talks:
        rows = query(
            "SELECT ordinal, serial, archived FROM chatstore_message "
            f"WHERE conversation_id = {here} ORDER BY ordinal"
        )
        assert [row[:2] for row in rows] == [(n * GAP, n + 1) for n in range(count)]
        assert (next_ordinal, base) == (count * GAP, 0)
        assert archived == sum(row[2] for row in rows)
        assert revision >= count
        active = [ordinal for ordinal, _, is_archived in rows if not is_archived]
        assert active_from == (min(active) if archived and active else None)


def test_upgraded_tables_are_as_new_and_as_declared(
    database: Database, query: Query, postgres_url: str
) -> None:
    load(query, FIRST)
    schema.upgrade(database)
    schema.upgrade(database, schema="fresh")
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE SCHEMA declared")
        conn.exec_driver_sql("SET LOCAL search_path TO declared")
        Base.metadata.create_all(conn)
    declared = catalogue(query, "declared")
    assert len(declared) > 40
    assert catalogue(query, "public") == declared
    assert catalogue(query, "fresh") == declared


def test_schemas_are_apart(database: Database, query: Query) -> None:
    load(query, FIRST)
    before = contents_of(query)
    schema.ensure(database, upgrade=True, schema="tenant")
    assert schema.current(database, "tenant") == HEAD
    assert schema.current(database) == FIRST
    assert schema.check(database, schema="tenant") == []
    assert contents_of(query) == before
    schema.downgrade(database, "base", schema="tenant")
    assert schema.current(database, "tenant") is None
    assert contents_of(query) == before


@pytest.mark.parametrize("name", ['x"; DROP TABLE chatstore_message; --', "1x", "x" * 64, "ü"])
def test_a_schemas_name_is_checked(database: Database, name: str) -> None:
    with pytest.raises(ValueError, match="schema's name"):
        schema.ensure(database, upgrade=True, schema=name)


def test_the_unknown_is_refused(database: Database, query: Query) -> None:
    schema.upgrade(database)
    query("UPDATE chatstore_alembic_version SET version_num = '0009_from_afar'")
    with pytest.raises(SchemaTooNewError, match="0009_from_afar"):
        schema.ensure(database, upgrade=True)
    query("DROP TABLE chatstore_alembic_version")
    with pytest.raises(StoreCorruptError, match="chatstore_block, chatstore_conversation"):
        schema.ensure(database, upgrade=True)
    query("CREATE TABLE chatstore_alembic_version (whose INTEGER)")
    with pytest.raises(StoreCorruptError, match="does not say in which version"):
        schema.ensure(database, upgrade=True)


def test_a_migration_that_loses_something_is_rolled_back(
    database: Database, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(query, FIRST)
    before, tables = contents_of(query), catalogue(query, "public")
    run = schema._run

    def ruinous(conn: sa.Connection, *arguments: Any, **options: Any) -> None:
        run(conn, *arguments, **options)
        conn.exec_driver_sql("DELETE FROM chatstore_message WHERE ordinal = 0")

    monkeypatch.setattr(schema, "_run", ruinous)
    with pytest.raises(ChatStoreError, match="rows of chatstore_message"):
        schema.upgrade(database)
    assert (contents_of(query), catalogue(query, "public")) == (before, tables)
    assert schema.current(database) == FIRST


@pytest.mark.parametrize("there", ["fresh", "old", "in a schema that is missing"])
def test_a_crowd_upgrades_once(
    database: Database,
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
    postgres_url: str,
    there: str,
) -> None:
    if there == "old":
        load(query, FIRST)
    name = "tenant" if "missing" in there else None
    together = threading.Barrier(8)
    told: Counter[str] = Counter()

    def one() -> None:
        with closing(open_database(postgres_url)) as own:
            together.wait()
            try:
                change = schema.upgrade(own, schema=name)
            except Exception as error:  # noqa: BLE001
                told[repr(error)] += 1
            else:
                told["found" if change.before == HEAD else "upgraded"] += 1

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == {"upgraded": 1, "found": 7}
    assert schema.check(database, schema=name) == []


def test_alembics_command(database: Database, query: Query, postgres_url: str) -> None:
    load(query, FIRST)
    before = contents_of(query)
    alembic("upgrade", "head", url=postgres_url)
    assert contents_of(query) == before
    assert schema.check(database) == []
    alembic("-x", "schema=tenant", "upgrade", "head", url=postgres_url)
    assert catalogue(query, "tenant") == catalogue(query, "public")
    alembic("downgrade", FIRST, url=postgres_url)
    assert schema.current(database, "tenant") == HEAD
    assert schema.current(database) == FIRST
    assert contents_of(query) == before


def test_sql_that_was_written_without_a_server(query: Query, database: Database) -> None:
    query(spawned("upgrade", "head", "--sql", url="postgresql://"))
    assert schema.check(database) == []


def test_a_hosts_views_and_triggers_stay(database: Database, query: Query) -> None:
    load(query, FIRST)
    query("CREATE VIEW roles AS SELECT role, count(*) AS n FROM chatstore_message GROUP BY role")
    query("CREATE TABLE note (about BIGINT REFERENCES chatstore_conversation (id))")
    query("CREATE INDEX host_role ON chatstore_message (role)")
    for change in (schema.upgrade, lambda database: schema.downgrade(database, FIRST)):
        change(database)
        assert query("SELECT sum(n) FROM roles") == [(368,)]
        assert query("SELECT 1 FROM pg_indexes WHERE indexname = 'host_role'") == [(1,)]


def load(query: Query, revision: str) -> None:
    """A database as that version left it."""
    query((DUMPS / f"{revision}.postgresql.sql").read_text("utf-8"))


def tables(query: Query) -> list[str]:
    found = query(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    return sorted(name for (name,) in found)


def catalogue(query: Query, name: str) -> list[tuple[Any, ...]]:
    """All that PostgreSQL knows of our tables, but for the order of columns."""
    ours = f"'{name}'::regnamespace AND c.relname <> 'chatstore_alembic_version'"
    columns = query(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
        " pg_get_expr(d.adbin, d.adrelid), l.collname FROM pg_attribute AS a "
        "JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r' "
        "LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        "LEFT JOIN pg_collation AS l ON l.oid = a.attcollation "
        f"WHERE c.relnamespace = {ours} AND a.attnum > 0 AND NOT a.attisdropped"
    )
    constraints = query(
        "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint AS k "
        f"JOIN pg_class AS c ON c.oid = k.conrelid WHERE c.relnamespace = {ours}"
    )
    indexes = query(
        "SELECT c.relname, i.relname, pg_get_indexdef(x.indexrelid) FROM pg_index AS x "
        "JOIN pg_class AS c ON c.oid = x.indrelid JOIN pg_class AS i ON i.oid = x.indexrelid "
        f"WHERE c.relnamespace = {ours}"
    )
    rows = [*columns, *constraints, *indexes]
    plain = [tuple(str(part).replace(f"{name}.", "") for part in row) for row in rows]
    return sorted(plain)
