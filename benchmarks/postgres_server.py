"""A real server for the questions about PostgreSQL, and a way to ask them: not a question itself.

    python -m benchmarks.postgres_append

It flushes to the disk, as a server does that is left as it was installed. `bare()` is the driver on
a connection that is kept, which prepares the statement as the store's own connections do.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg

from benchmarks.harness import HEADER, Answer
from chatstore import SQLChatStore
from tests.servers.postgres import PostgresServer


class Bench(NamedTuple):
    url: str
    conn: psycopg.Connection[Any]
    store: SQLChatStore


@contextmanager
def bench(**settings: str) -> Iterator[Bench]:
    """A server with a database of ours, a connection of the bare driver, and a store."""
    durable = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB"}
    with PostgresServer(**(durable | settings)) as server:
        url = server.url_of(server.new_database())
        with (
            SQLChatStore(url, upgrade=True) as store,
            psycopg.connect(url, autocommit=True) as conn,
        ):
            yield Bench(url, conn, store)


def show(answers: Callable[[], Iterable[Answer]]) -> None:
    print(HEADER, flush=True)
    for answer in answers():
        print(answer.line(), flush=True)
