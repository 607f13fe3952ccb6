"""How does LlamaIndex's PostgresChatStore do at 10 000 messages, which are one array there?

It needs `llama-index-storage-chat-store-postgres`; without, the statements that it sends stand for
it, on the bare driver, which is kinder to it.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from benchmarks.harness import Answer, at_least, message, seconds
from benchmarks.postgres_server import bench, show

LENGTH = 10_000

_TABLE = "CREATE TABLE peer (id SERIAL PRIMARY KEY, key VARCHAR NOT NULL UNIQUE, value JSON[])"
_SET = (
    "INSERT INTO peer (key, value) VALUES (%s, %s::json[]) "
    "ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"
)
_ADD = (
    "INSERT INTO peer (key, value) VALUES (%s, %s::json[]) "
    "ON CONFLICT (key) DO UPDATE SET value = array_cat(peer.value, EXCLUDED.value)"
)
_GET = "SELECT id, key, value FROM peer WHERE key = %s"

Calls = tuple[str, Callable[[], object], Callable[[], object]]


def theirs(url: str) -> Calls:
    """Who it is, its append, and its newest 20, of a conversation that holds 10 000."""
    try:
        from llama_index.core.llms import ChatMessage
        from llama_index.storage.chat_store.postgres import PostgresChatStore
    except ImportError:
        return statements(url)
    drivers = [url.replace("postgresql://", f"postgresql+{name}://") for name in _DRIVERS]
    store = PostgresChatStore.from_params(
        connection_string=drivers[0], async_connection_string=drivers[1]
    )
    said = ChatMessage(role="user", content=message().content)
    store.set_messages("k", [said] * LENGTH)
    name = "LlamaIndex's PostgresChatStore"
    return name, lambda: store.add_message("k", said), lambda: store.get_messages("k")[-20:]


_DRIVERS = ("psycopg", "asyncpg")


def statements(url: str) -> Calls:
    conn: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)
    conn.execute(_TABLE)
    payload = json.dumps(message().model_dump(mode="json"))
    conn.execute(_SET, ("k", [payload] * LENGTH))

    def last() -> object:
        row = conn.execute(_GET, ("k",)).fetchone()
        assert row is not None
        return row[2][-20:]

    return "LlamaIndex's statements", lambda: conn.execute(_ADD, ("k", [payload])), last


def answers() -> Iterator[Answer]:
    with bench() as (url, _, store):
        name, add, last = theirs(url)
        store.add_messages("k", [message()] * LENGTH)
        said = message()
        yield at_least(
            f"PostgreSQL: append at {LENGTH}, beside {name}",
            5,
            lambda: seconds(lambda: store.add_message("k", said), 40),
            lambda: seconds(add, 5),
            unit="ms",
        )
        yield at_least(
            f"PostgreSQL: last=20 of {LENGTH}, beside {name}",
            5,
            lambda: seconds(lambda: store.get_messages("k", last=20), 40),
            lambda: seconds(last, 3),
            unit="ms",
        )


if __name__ == "__main__":
    show(answers)
