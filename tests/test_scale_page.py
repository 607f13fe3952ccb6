"""The SQL of docs/scale.md, on a server of its own: roles are those of a whole server."""

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chatstore import ChatMessage, ConflictError, SQLChatStore, StoreReadOnlyError
from chatstore.errors import ChatStoreError
from chatstore.sql import schema
from chatstore.sql.dialects import statements
from chatstore.sql.engine import open_database
from chatstore.sql.schema.versions import TABLES
from tests.migrations.support import DUMPS, FIRST, contents_of
from tests.servers.fixtures import Running
from tests.servers.postgres import PostgresServer
from tests.servers.process import HOST, wait_until

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
PASSWORD = "change me"
TENANTS = ("acme", "globex")
KEEPER = "keeper"
"""The owner of the tables, who is no superuser."""


def sql_under(title: str) -> list[str]:
    """The blocks of a section."""
    section = PAGE.read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sql\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(wal_level="replica") as server:
        yield server


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    name = server.new_database()
    yield server.url_of(name)
    server.drop_database(name)


def url_of(url: str, name: str) -> str:
    return re.sub(r"//[^@]+@", f"//{name}:{PASSWORD.replace(' ', '%20')}@", url)


@pytest.fixture(scope="module")
def tenants(server: PostgresServer) -> str:
    """A database in which two tenants hold a conversation each, made as the page says.

    It is for tests that change nothing in it.
    """
    recipe, role, _ = sql_under("Tenants that cannot see each other")
    database = server.new_database()
    url = server.url_of(database)
    run(url, f"CREATE ROLE {KEEPER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
    run(url, f"ALTER DATABASE {database} OWNER TO {KEEPER}")
    keeper = url_of(url, KEEPER)
    SQLChatStore(keeper, upgrade=True).close()
    run(keeper, recipe)
    run(keeper, recipe)  # as after an upgrade
    for name in TENANTS:
        run(keeper, role.replace("acme", name))
        with SQLChatStore(url_of(url, name), namespace=name) as store:
            turns = [ChatMessage(f"{name} {n}", id=f"m{n}") for n in range(30)]
            store.add_messages("talk", turns)
            store.add_message("talk", ChatMessage(f"{name}, in between"), 3)
    return url


@pytest.fixture
def own_tenants(server: PostgresServer, tenants: str) -> Iterator[str]:
    """A copy of that database, for a test that changes it."""
    original = tenants.rpartition("/")[2]
    copy = f"{original}_copy"
    run(server.url, f"CREATE DATABASE {copy} TEMPLATE {original} OWNER {KEEPER}")
    yield server.url_of(copy)
    server.drop_database(copy)


def run(url: str, *scripts: str) -> list[Any]:
    rows: list[Any] = []
    with psycopg.connect(url, autocommit=True) as conn:
        for script in scripts:
            cursor = conn.execute(script.encode())
            while cursor.nextset():
                pass
            rows = cursor.fetchall() if cursor.description else []
    return rows


def everything(url: str) -> dict[Any, Any]:
    return contents_of(lambda sql: run(url, sql))


def test_a_tenant_works_as_anybody_does(own_tenants: str) -> None:
    with SQLChatStore(url_of(own_tenants, "acme"), namespace="acme", ttl=100) as store:
        store.add_message("new", ChatMessage("Hello"))
        store.copy_conversation("talk", "fork", 5)
        store.update_message("talk", 4, ChatMessage("changed"))
        store.archive_messages("talk", 2)
        assert store.delete_message("talk", 10) is not None
        store.set_messages("new", [ChatMessage("other")])
        assert store.get_keys() == ["fork", "new", "talk"]
        assert store.get_conversations(limit=1)[0].key == "new"
        assert len(store.get_messages("talk")) == 30
        assert store.purge_expired() == 0
        assert store.erase("fork")
        assert store.check().ok


def test_every_table_has_a_policy(tenants: str) -> None:
    secured = run(tenants, "SELECT relname FROM pg_class WHERE relrowsecurity")
    assert {name for (name,) in secured} == set(TABLES)
    assert len(run(tenants, "SELECT 1 FROM pg_policies WHERE policyname = 'tenant'")) == len(TABLES)


def test_a_tenant_sees_its_own_rows_alone(tenants: str) -> None:
    acme = url_of(tenants, "acme")
    assert run(acme, "SELECT namespace, key FROM chatstore_conversation") == [("acme", "talk")]
    assert len(everything(tenants)) == 2
    assert list(everything(acme)) == [("acme", "talk")]
    said = run(acme, "SELECT payload FROM chatstore_message")
    assert len(said) == 31
    assert not [payload for (payload,) in said if "globex" in payload]
    assert run(acme, "SELECT DISTINCT conversation_id FROM chatstore_block") == run(
        acme, "SELECT id FROM chatstore_conversation"
    )
    # A function that is run before the policy, if anything is, would tell what it was given.
    heard = run(
        acme,
        "CREATE FUNCTION pg_temp.loud(text) RETURNS bool COST 0.0000001 LANGUAGE plpgsql AS "
        "$$ BEGIN IF $1 LIKE '%globex%' THEN RAISE 'heard'; END IF; RETURN true; END $$; "
        "SELECT count(*) FROM chatstore_message WHERE pg_temp.loud(payload)",
    )
    assert heard == [(31,)]


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE chatstore_conversation SET metadata = '{}', count = 0",
        "DELETE FROM chatstore_message",
        "DELETE FROM chatstore_conversation",
    ],
)
def test_what_a_tenant_does_to_all_rows_is_done_to_its_own(own_tenants: str, attack: str) -> None:
    before = everything(own_tenants)["globex", "talk"]
    run(url_of(own_tenants, "acme"), attack)
    after = everything(own_tenants)
    assert after["globex", "talk"] == before
    assert after.get(("acme", "talk")) != before


COLUMNS = "conversation_id, ordinal, serial, format, payload, role, created_at"


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE chatstore_conversation SET namespace = 'globex', key = 'mine'",
        "INSERT INTO chatstore_conversation (namespace, key, next_ordinal, count, revision, "
        "created_at, updated_at) VALUES ('globex', 'mine', 0, 0, 0, 0, 0)",
        f"INSERT INTO chatstore_message ({COLUMNS}) "
        "VALUES ({theirs}, 1, 99, 'chatstore', '{{}}', 'user', 0)",
        "UPDATE chatstore_message SET conversation_id = {theirs} WHERE ordinal = 0",
        "INSERT INTO chatstore_block VALUES ({theirs}, 7, 7)",
        "CREATE TEMP TABLE chatstore_conversation (id bigint); "
        "INSERT INTO chatstore_conversation VALUES ({theirs}); "
        f"INSERT INTO public.chatstore_message ({COLUMNS}) "
        "VALUES ({theirs}, 1, 99, 'chatstore', '{{}}', 'user', 0)",
        "SET ROLE globex",
        "SET SESSION AUTHORIZATION globex",
        "SET row_security = off; SELECT * FROM chatstore_message",
        "ALTER TABLE chatstore_message DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON chatstore_message",
        "CREATE POLICY mine ON chatstore_message USING (true)",
        "TRUNCATE chatstore_message",
        "DROP TABLE chatstore_message",
        "UPDATE chatstore_alembic_version SET version_num = 'x'",
        "SELECT setval('chatstore_conversation_id_seq', 1)",
    ],
)
def test_what_a_tenant_may_not_do(tenants: str, attack: str) -> None:
    before = everything(tenants)
    found = run(tenants, "SELECT id FROM chatstore_conversation WHERE namespace = 'globex'")
    with pytest.raises(psycopg.Error) as caught:
        run(url_of(tenants, "acme"), attack.format(theirs=found[0][0]))
    assert isinstance(caught.value, psycopg.errors.InsufficientPrivilege)
    assert everything(tenants) == before


def test_another_namespace_is_empty_and_takes_nothing(tenants: str) -> None:
    with SQLChatStore(url_of(tenants, "acme"), namespace="globex") as store:
        assert store.get_keys() == []
        assert store.get_messages("talk") == []
        with pytest.raises(ChatStoreError):
            store.add_message("talk", ChatMessage("false"))
        with pytest.raises(ChatStoreError):
            store.add_message("new", ChatMessage("false"))
    assert len(everything(tenants)["globex", "talk"][-1]) == 31


def test_a_role_for_a_transaction(tenants: str) -> None:
    script = sql_under("Tenants that cannot see each other")[2]
    keeper = url_of(tenants, KEEPER)
    run(keeper, f"GRANT acme TO {KEEPER}")
    try:
        with psycopg.connect(keeper, autocommit=True) as conn:
            cursor = conn.execute(script.encode())
            results = [cursor.fetchall() if cursor.description else None]
            while cursor.nextset():
                results.append(cursor.fetchall() if cursor.description else None)
            assert results == [None, None, [("talk", 31)], None]
            assert conn.execute("SELECT current_user = session_user").fetchone() == (True,)
    finally:
        run(keeper, f"REVOKE acme FROM {KEEPER}")


def test_an_upgrade_changes_the_rows_of_all_tenants(own_tenants: str) -> None:
    before = everything(own_tenants)
    keeper = url_of(own_tenants, KEEPER)
    with closing(open_database(keeper)) as database:
        schema.downgrade(database, FIRST)
        schema.upgrade(database)
    run(keeper, sql_under("Tenants that cannot see each other")[0])
    assert everything(own_tenants) == before
    for name in TENANTS:
        with SQLChatStore(url_of(own_tenants, name), namespace=name) as store:
            assert store.check().ok
            assert store.count_messages("talk") == 31


def test_partitions(url: str) -> None:
    (script,) = sql_under("Partitions")
    with SQLChatStore(url, upgrade=True) as store:
        for n in range(40):
            store.add_messages(f"talk{n}", [ChatMessage(f"{n} {place}") for place in range(5)])
        before = everything(url)
        run(url, script)
        assert everything(url) == before
        assert run(
            url,
            "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent "
            "WHERE c.relname = 'chatstore_message'",
        ) == [(8,)]
        store.add_message("talk1", ChatMessage("more", id="m1"))
        store.add_message("talk1", ChatMessage("more", id="m1"))
        store.add_message("talk1", ChatMessage("first"), 0)
        assert store.count_messages("talk1") == 7
        assert store.get_messages("talk1", last=1)[0].content == "more"
        assert store.delete_messages("talk2") is not None
        assert store.check().ok
    with closing(open_database(url)) as database:
        assert schema.check(database) == []


def test_partitions_that_are_read(url: str) -> None:
    (script,) = sql_under("Partitions")
    with SQLChatStore(url, upgrade=True) as store:
        for n in range(40):
            store.add_message(f"talk{n}", ChatMessage("x"))
    run(url, script)
    with psycopg.connect(url) as conn:
        named = {"namespace": "", "key": "talk1", "now": 0, "n": 20}
        explain = f"EXPLAIN (ANALYZE, COSTS OFF) {statements('postgresql').last}"
        plan = [row[0] for row in conn.execute(explain.encode(), named)]
    scans = [line for line in plan if " on chatstore_message_" in line]
    assert len(scans) == 8
    assert len([line for line in scans if "never executed" not in line]) == 1


def test_partitions_are_upgraded(url: str) -> None:
    (script,) = sql_under("Partitions")
    run(url, (DUMPS / f"{FIRST}.postgresql.sql").read_text("utf-8"))
    run(url, script)
    before = everything(url)
    assert len(before) > 5
    with closing(open_database(url)) as database:
        for _ in range(2):
            schema.upgrade(database)
            assert everything(url) == before
            assert schema.check(database) == []
            schema.downgrade(database, FIRST)
            assert everything(url) == before


def test_purges_that_run_at_the_same_time_share_the_work(url: str) -> None:
    with SQLChatStore(url, upgrade=True, ttl=0.001) as store, SQLChatStore(url) as other:
        for n in range(450):
            store.add_message(f"talk{n}", ChatMessage("x"))
        time.sleep(0.01)
        with ThreadPoolExecutor(4) as pool:
            freed = list(pool.map(lambda one: one.purge_expired(), [store, other, store, other]))
        assert sum(freed) == 450
        assert run(url, "SELECT count(*) FROM chatstore_message") == [(0,)]


def test_a_replica(server: PostgresServer, url: str, running: Running) -> None:
    with SQLChatStore(url, upgrade=True) as store:
        store.add_message("talk", ChatMessage("before"))
        replica = running(Replica(server))
        there = replica.url_of(url.rpartition("/")[2])
        with SQLChatStore(there, read_only=True) as reader:
            assert reader.count_messages("talk") == 1
            store.add_message("talk", ChatMessage("soon"))
            wait_until(lambda: reader.count_messages("talk") == 2, "replication")
            run(replica.url, "SELECT pg_wal_replay_pause()")
            stale = reader.get_conversation("talk")
            assert stale is not None
            store.add_messages("talk", [ChatMessage("later"), ChatMessage("both")])
            store.add_message("other", ChatMessage("unknown there"))
            assert reader.count_messages("talk") == 2
            assert reader.get_conversation("other") is None
            with pytest.raises(ConflictError):
                store.set_messages("talk", [], expected_revision=stale.revision)
            run(replica.url, "SELECT pg_wal_replay_resume()")
            wait_until(lambda: reader.get_conversation("other") is not None, "replication")
            assert reader.count_messages("talk") == 4
            reader.export_json(replica.folder / "nightly.jsonl.gz")
            assert reader.check().ok
        with SQLChatStore(there) as writer, pytest.raises(StoreReadOnlyError):
            writer.add_message("talk", ChatMessage("no"))


class Replica(PostgresServer):
    """A streaming replica, made with pg_basebackup."""

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__(hot_standby="on")
        self.password = primary.password
        self._primary = primary

    def _create(self, initdb: Path, data: Path) -> None:
        uid, gid = self.account or (None, None)
        done = subprocess.run(
            [
                *(initdb.with_name("pg_basebackup"), f"--dbname={self._primary.url}"),
                *("--pgdata", data, "--wal-method=stream", "--checkpoint=fast", "--no-sync"),
                "--write-recovery-conf",
            ],
            cwd=self.folder,
            user=uid,
            group=gid,
            extra_groups=[] if self.account else None,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")


def test_pg_dump_and_back(server: PostgresServer, url: str) -> None:
    with SQLChatStore(url, upgrade=True) as store:
        store.add_messages("talk", [ChatMessage(f"{n}\0\ud800") for n in range(30)])
        store.add_message("talk", ChatMessage("first"), 0)
    programs = server._program().parent
    dumped = subprocess.run(
        [programs / "pg_dump", "--format=custom", url], capture_output=True, check=True
    )
    copy = server.url_of(server.new_database())
    subprocess.run(
        [programs / "pg_restore", "--exit-on-error", f"--dbname={copy}"],
        input=dumped.stdout,
        capture_output=True,
        check=True,
    )
    assert everything(copy) == everything(url)
    with SQLChatStore(copy) as store:
        assert store.check().ok
        store.add_message("new", ChatMessage("works"))
    server.drop_database(copy.rpartition("/")[2])
    assert HOST in copy
