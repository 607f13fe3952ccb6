"""A long series of changes, the same for the same seed, and the state after each of them.

The states are plain dicts of lists and share no code with the store, so that after a crash a file
can be held to: exactly the state after so many changes, with nothing of the next one.
"""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chatstore import ChatMessage
from chatstore.store import ChatStore

State = dict[str, list[str]]


@dataclass(frozen=True)
class Step:
    """One call of a store, and what it does to a dict of lists."""

    name: str
    apply: Callable[[ChatStore], object]
    after: State


def fingerprint(state: State) -> int:
    """Equal for equal states, within one process."""
    return hash(tuple(sorted((key, tuple(texts)) for key, texts in state.items() if texts)))


def states(keys: list[str], seed: int, count: int, *, edits: bool) -> list[int]:
    """The fingerprints of the state before the first step, after it, and so on."""
    later = (fingerprint(step.after) for step in history(keys, seed, count, edits=edits))
    return [fingerprint({}), *later]


def history(keys: list[str], seed: int, count: int, *, edits: bool) -> Iterator[Step]:
    """So many steps on conversations that begin empty; only turns of two messages, or all."""
    chance = random.Random(seed)
    state: State = {key: [] for key in keys}
    for number in range(count):
        key = chance.choice(keys)
        verb = chance.choice(_EDITS) if edits and len(state[key]) > 3 else _turn
        name = f"{seed}.{number}"
        apply = verb(key, state[key], name, chance)
        yield Step(
            f"{verb.__name__} {name}", apply, {key: list(texts) for key, texts in state.items()}
        )


def _text(name: str, chance: random.Random) -> str:
    # Most fit a page with others, some take several pages.
    length = chance.choice((0, 10, 100, 600, 600, 9_000))
    return f"{name} {chance.randbytes(length // 2).hex()}"


def _message(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=text)


_Apply = Callable[[ChatStore], object]


def _turn(key: str, texts: list[str], name: str, chance: random.Random) -> _Apply:
    pair = [_text(f"{name}.{half}", chance) for half in "ab"]
    texts += pair
    return lambda store: store.add_messages(key, [_message(text) for text in pair])


def _insert(key: str, texts: list[str], name: str, chance: random.Random) -> _Apply:
    idx, text = chance.randrange(len(texts)), _text(name, chance)
    texts.insert(idx, text)
    return lambda store: store.add_message(key, _message(text), idx)


def _update(key: str, texts: list[str], name: str, chance: random.Random) -> _Apply:
    idx, text = chance.randrange(len(texts)), _text(name, chance)
    texts[idx] = text
    return lambda store: store.update_message(key, idx, _message(text))


def _delete(key: str, texts: list[str], name: str, chance: random.Random) -> _Apply:
    idx = chance.randrange(len(texts))
    del texts[idx]
    return lambda store: store.delete_message(key, idx)


def _replace(key: str, texts: list[str], name: str, chance: random.Random) -> _Apply:
    new = [_text(f"{name}.{place}", chance) for place in range(chance.randrange(1, 9))]
    texts[:] = new
    return lambda store: store.set_messages(key, [_message(text) for text in new])


def _erase(key: str, texts: list[str], name: str, chance: random.Random) -> _Apply:
    texts.clear()
    return lambda store: store.erase(key)


_EDITS = (*(_turn,) * 8, *(_insert,) * 3, *(_update,) * 2, *(_delete,) * 3, _replace, _erase)


# The back door: what a file holds, and whether it is sound, without the store.


def open_raw(path: Path) -> sqlite3.Connection:
    """The raw driver, with nothing of ours between. It waits for no disk."""
    conn = sqlite3.connect(path, isolation_level=None)
    try:
        conn.execute("PRAGMA synchronous=OFF")
    except sqlite3.DatabaseError:  # the file is damaged
        conn.close()
        raise
    return conn


def read_state(conn: sqlite3.Connection) -> State:
    """The texts of every conversation, in order; `{}` if the file has no tables yet."""
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master")}
    if "chatstore_message" not in tables:
        return {}
    rows = conn.execute(
        "SELECT c.key, m.payload FROM chatstore_message AS m "
        "JOIN chatstore_conversation AS c ON c.id = m.conversation_id "
        "ORDER BY c.key, m.ordinal"
    )
    state: State = {}
    for key, payload in rows:
        blocks = json.loads(payload)["blocks"]
        state.setdefault(key, []).append("".join(block["text"] for block in blocks))
    return state


def damage(conn: sqlite3.Connection) -> list[str]:
    """What SQLite and the counts say against the file."""
    found = [line for (line,) in conn.execute("PRAGMA quick_check") if line != "ok"]
    found += [f"orphan in {row[0]}" for row in conn.execute("PRAGMA foreign_key_check")]
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master")}
    if "chatstore_message" in tables:
        found += [
            f"{key}: {count} noted, {rows} stored, last {last}, next {next_ordinal}"
            for key, count, next_ordinal, rows, last in conn.execute(
                "SELECT c.key, c.count, c.next_ordinal, count(m.ordinal), max(m.ordinal) "
                "FROM chatstore_conversation AS c "
                "LEFT JOIN chatstore_message AS m ON m.conversation_id = c.id GROUP BY c.id"
            )
            if count != rows or rows == 0 or last >= next_ordinal
        ]
    return found


def look(path: Path) -> tuple[State, list[str]]:
    """What a file holds, and what is wrong with it."""
    with closing(open_raw(path)) as conn:
        return read_state(conn), damage(conn)
