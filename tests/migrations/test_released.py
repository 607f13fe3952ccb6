"""What released versions wrote is upgraded, equal, and in use."""

import io
import json
from pathlib import Path
from typing import Any

from chatstore import ChatMessage, SQLChatStore, UndecodableMessage
from chatstore import operations as ops
from chatstore.sql import schema
from chatstore.sql.models import GAP
from tests.migrations.conftest import Open
from tests.migrations.support import (
    DUMPS,
    FIRST,
    HEAD,
    THIRD,
    contents,
    load,
    master,
    opened,
    sound,
)


def test_every_revision_has_its_dumps() -> None:
    names = {file.name for file in DUMPS.iterdir()}
    assert names == {f"{r}.{d}.sql" for r in schema.REVISIONS for d in ("sqlite", "postgresql")}


def test_opening_upgrades_and_keeps_all(released: Path) -> None:
    before = contents(released)
    assert len(before["", "long"][-1]) > 300
    SQLChatStore(released).close()
    assert contents(released) == before
    assert sound(released)


def test_an_upgraded_file_is_used(released: Path) -> None:
    payloads = [json.loads(line[2]) for line in contents(released)["", "long"][-1]]
    texts = [payload["blocks"][0]["text"] for payload in payloads]
    with SQLChatStore(released) as store:
        assert [message.content for message in store.get_messages("long")] == texts
        for place, text in ((0, "first"), (200, "middle"), (len(texts) + 2, "last")):
            store.add_message("long", ChatMessage(text), idx=place)
            texts.insert(place, text)
        assert store.delete_message("long", 100) is not None
        del texts[100]
        assert [message.content for message in store.get_messages("long")] == texts
        assert store.get_message("long", 150).content == texts[150]  # type: ignore[union-attr]
        again = ChatMessage("message 1", role="assistant", id="id:001")
        assert store.add_message("long", again) == "id:001"
        assert store.count_messages("long") == len(texts)
        assert store.count_messages("all archived", status="archived") == 3
        assert store.get_messages("all archived", status="active") == []
        assert store.get_messages("expired") == []
        assert store.get_conversation("lives").ttl == 86_400  # type: ignore[union-attr]
        told = store.check().problems
    assert all("cannot be decoded" in problem for problem in told), told
    assert len(told) == 3


def test_text_survives(released: Path) -> None:
    with SQLChatStore(released) as store:
        [nasty, empty] = store.get_messages("Robert'); DROP TABLE chatstore_message; --")
        assert nasty.content is not None
        assert "\ud83d an emoji, \x00 NUL, \u2028 line, 👩‍👩‍👧" in nasty.content
        assert empty.content == ""
        held = store.get_conversation("archived in part")
        assert held is not None
        assert held.metadata["title"] == "Ordner \u2028 \ud800"
        unknown = store.get_messages("payloads")[0]
        assert isinstance(unknown, UndecodableMessage)
        assert unknown.raw == '{"not": "ours"}'
    with SQLChatStore(released, namespace="tenant β") as store:
        assert [m.content for m in store.get_messages("long")] == ["the same key elsewhere"]


def test_states_survive(path: Path) -> None:
    text = '{"text":"\\u0000 \\ud83d"}'
    with SQLChatStore(load(THIRD, path)) as store:
        found = {state.key: state for state in store._execute(ops.ListStates(None, None))}
        assert sorted(found) == ["begun", "empty", "long", "tools"]
        assert {state.body for state in found.values()} == {text}
        assert {state.parted for state in found.values()} == {'[{"entry":"left"}]'}
        assert {key for key, state in found.items() if state.changed} == {"long"}
        assert {key for key, state in found.items() if state.head} == {"long", "tools"}
        listed = store._execute(ops.ListStates("Zürich 🌍", None))
        assert [state.key for state in listed] == ["tools", "long", "begun"]
        for key in found:
            store.erase(key)
        assert store._execute(ops.ListStates(None, None)) == []


def test_counters_of_the_upgraded(old: Path) -> None:
    SQLChatStore(old).close()
    with opened(old) as conn:
        for here, count, archived, next_ordinal, revision, base, active_from in conn.execute(
            "SELECT id, count, archived, next_ordinal, revision, base, active_from "
            "FROM chatstore_conversation"
        ).fetchall():
            rows = conn.execute(
                "SELECT ordinal, serial, archived FROM chatstore_message "
                "WHERE conversation_id = ? ORDER BY ordinal",
                (here,),
            ).fetchall()
            assert [row[:2] for row in rows] == [(n * GAP, n + 1) for n in range(count)]
            assert (next_ordinal, base) == (count * GAP, 0)
            assert archived == sum(row[2] for row in rows)
            assert revision >= count
            active = [ordinal for ordinal, _, is_archived in rows if not is_archived]
            assert active_from == (min(active) if archived and active else None)
        assert conn.execute("SELECT count(*) FROM chatstore_block").fetchone() == (0,)


def test_ids_are_not_given_out_again(old: Path) -> None:
    """The greatest conversation was deleted; only the sequence remembers its id."""
    with SQLChatStore(old) as store:
        store.add_message("new", ChatMessage("x"))
    with opened(old) as conn:
        found = conn.execute("SELECT id FROM chatstore_conversation WHERE key = 'new'").fetchone()
    assert found == (78,)


def test_damaged_numbering_becomes_regular(old: Path) -> None:
    with opened(old) as conn:
        conn.execute("DELETE FROM chatstore_message WHERE conversation_id = 1 AND ordinal = 7")
        conn.execute("UPDATE chatstore_conversation SET next_ordinal = 9, count = 5 WHERE id = 1")
    with SQLChatStore(old) as store:
        assert store.count_messages("long") == 322
        assert len(store.get_messages("long")) == 322
        assert not [told for told in store.check().problems if "long" in told]


def test_down_and_up_again_is_equal(released: Path, open_: Open, tmp_path: Path) -> None:
    before = contents(released)
    first = master(load(FIRST, tmp_path / "first.db"))
    database = open_(released)
    schema.upgrade(database)
    head = master(released)
    change = schema.downgrade(database, FIRST)
    assert change[:2] == (HEAD, FIRST)
    assert contents(released) == before
    with opened(released) as conn:
        for here, count in conn.execute("SELECT id, count FROM chatstore_conversation").fetchall():
            dense = conn.execute(
                "SELECT ordinal FROM chatstore_message WHERE conversation_id = ? ORDER BY ordinal",
                (here,),
            ).fetchall()
            assert dense == [(n,) for n in range(count)]
    assert ours(master(released)) == ours(first)
    schema.upgrade(database)
    assert contents(released) == before
    assert master(released) == head
    assert schema.check(database) == []


def test_the_export_is_the_same_after_down_and_up(old: Path, open_: Open) -> None:
    once = exported(old)
    database = open_(old)
    schema.downgrade(database, FIRST)
    assert exported(old) == once
    assert len(once.splitlines()) > 370


def test_down_to_nothing(released: Path, open_: Open) -> None:
    before = contents(released)
    database = open_(released)
    change = schema.downgrade(database, "base")
    assert change.after is None
    names = {name for _, name, *_ in master(released) if not name.startswith("sqlite_")}
    assert names == {"chatstore_alembic_version"}
    assert change.backup is not None
    assert contents(change.backup) == before
    with SQLChatStore(released) as store:
        assert store.get_keys() == []


def exported(path: Path) -> bytes:
    """All but the header, which has the time."""
    file = io.BytesIO()
    with SQLChatStore(path) as store:
        store.export_json(file, format="jsonl")
    return file.getvalue().partition(b"\n")[2]


def ours(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What the migrations made, with RENAME's quotes and what ANALYZE left taken away."""
    flat = [(*row[:3], " ".join((row[3] or "").replace('"', "").split())) for row in rows]
    return [row for row in flat if not row[1].startswith("sqlite_stat")]
