"""The recipe of docs/scale.md through a pooler: tenants share it, and nothing else."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from chatstore import ChatMessage, SQLChatStore
from tests.pooler.conftest import through
from tests.servers.fixtures import Running
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgresServer
from tests.test_scale_page import PASSWORD, TENANTS, server, tenants, url, url_of

__all__ = ["server", "tenants", "url"]

pytestmark = pytest.mark.pgbouncer


def test_tenants_through_one_pooler(server: PostgresServer, tenants: str, running: Running) -> None:
    pooler = running(PgBouncer(server, sessions=1, users=dict.fromkeys(TENANTS, PASSWORD)))
    pooled = through(pooler, tenants)

    def work(number: int) -> None:
        name = TENANTS[number % 2]
        with SQLChatStore(url_of(pooled, name), namespace=name) as store:
            for turn in range(20):
                store.add_message(f"{number}", ChatMessage(f"{name} {turn}"))
            assert len(store.get_messages("talk")) == 31
        with psycopg.connect(url_of(pooled, name), autocommit=True) as conn:
            for _ in range(5):
                seen = conn.execute("SELECT DISTINCT namespace FROM chatstore_conversation")
                assert seen.fetchall() == [(name,)]
                said = conn.execute(
                    "SELECT count(*) FROM chatstore_message WHERE payload LIKE %s",
                    ("%globex%" if name == "acme" else "%acme%",),
                )
                assert said.fetchone() == (0,)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
