"""A row that is damaged hides no other: it is read, told by `check`, exported and removed."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatstore import ChatMessage, ChatStore, NativeMessage, UndecodableMessage, open_store

NO_UTF8 = "CAST(x'7bff7d' AS TEXT)"

UNDECODABLE = {
    "a byte of the payload": f"payload = {NO_UTF8}",
    "a payload of bytes": "payload = x'7bff7d'",
    "a payload that is a number": "payload = 5",
    "a format that is no text": "format = x'ff'",
    "role and payload": "role = x'ff', payload = x'ff'",
    "all that is text": (
        f"id = {NO_UTF8}, format = {NO_UTF8}, payload = {NO_UTF8}, role = {NO_UTF8}, "
        f"kind = {NO_UTF8}, tool_call_ids = {NO_UTF8}"
    ),
}
READABLE = {
    "a payload that became bytes": "payload = CAST(payload AS BLOB)",
    "a byte of the role": f"role = {NO_UTF8}",
    "a role of bytes": "role = x'00'",
    "ids of calls that are no list": "tool_call_ids = '5'",
    "ids of calls that are no JSON": "tool_call_ids = '{'",
    "an id of bytes": "id = x'ff'",
    "a serial that is no number": "serial = 'x'",
}
TIMES = {
    "a time that is no number": "created_at = 'x'",
    "a time out of the calendar": "created_at = 9000000000000000000",
}
CONVERSATIONS = {
    "a time that is no number": "created_at = 'x'",
    "a time out of the calendar": "created_at = 9000000000000000000",
    "a time before the calendar": "updated_at = -9000000000000000000",
    "an end that is no number": "ttl = 1000000, expires_at = 'x'",
    "an end out of the calendar": "ttl = 1000000, expires_at = 9000000000000000000",
    "a ttl without an end": "ttl = 1000000",
    "an end without a ttl": "expires_at = 9000000000000000000",
    "a ttl that is no number": "ttl = 'x', expires_at = 4000000000000000",
    "a ttl that no store takes": "ttl = 9000000000000000000, expires_at = 4000000000000000",
    "metadata that is no JSON": "metadata = '{'",
    "metadata that is no object": "metadata = '[1]'",
    "metadata that JSON cannot hold": "metadata = '{\"a\":NaN}'",
    "a byte of the metadata": f"metadata = {NO_UTF8}",
    "metadata of bytes": "metadata = x'ff'",
    "a count that is no number": "count = 'x'",
}
KEYS = {
    "a byte of the key": "key = CAST(x'7573ff65' AS TEXT)",
    "a last byte of the key": "key = CAST(x'7573657231ff' AS TEXT)",
    "a key of bytes": "key = x'7573'",
    "a key that holds NUL": "key = 'user1' || char(0)",
}


def damage(path: Path, what: str) -> None:
    """Change the columns of the second message."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(f"UPDATE chatstore_message SET {what} WHERE serial = 2")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "chat.db"
    with open_store(path) as store:
        store.add_messages("user1", [ChatMessage(text) for text in "abc"])
        store.add_message("user2", NativeMessage("openai.chat", {"role": "user", "content": "d"}))
    return path


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path))


def seen(store: ChatStore) -> list[str | None]:
    messages = store.get_messages("user1")
    assert list(store.iter_messages("user1")) == messages
    assert [store.get_message("user1", idx) for idx in range(3)] == messages
    assert store.get_messages("user1", last=2) == messages[1:]
    assert [record.message for record in store.get_records("user1")] == messages
    return [None if isinstance(m, UndecodableMessage) else m.content for m in messages]


@pytest.mark.parametrize("what", [*UNDECODABLE.values(), *READABLE.values(), *TIMES.values()],
                         ids=[*UNDECODABLE, *READABLE, *TIMES])  # fmt: skip
def test_a_damaged_row_hides_no_other(path: Path, what: str) -> None:
    damage(path, what)
    with open_store(path) as store:
        assert seen(store) == ["a", None if what in UNDECODABLE.values() else "b", "c"]
        problems = store.check().problems
        assert problems
        assert all("user1" in problem for problem in problems)


@pytest.mark.parametrize("what", [*UNDECODABLE.values(), *READABLE.values(), *TIMES.values()],
                         ids=[*UNDECODABLE, *READABLE, *TIMES])  # fmt: skip
@pytest.mark.parametrize("name", ["chat.jsonl", "chat.json"])
def test_what_can_be_read_is_exported(path: Path, what: str, name: str) -> None:
    damage(path, what)
    file = path.with_name(name)
    with open_store(path) as store:
        store.export_json(file)
        before = seen(store)
    with open_store("memory://") as again:
        again.import_json(file)
        assert seen(again) == before
        moments = [record.created_at for record in again.get_records("user1")]
        if what == TIMES["a time that is no number"]:
            assert moments[1] == datetime(1970, 1, 1, tzinfo=UTC)
        elif what == TIMES["a time out of the calendar"]:
            assert moments[1] == datetime.max.replace(tzinfo=UTC)


def damage_conversation(path: Path, what: str) -> None:
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(f"UPDATE chatstore_conversation SET {what} WHERE key = 'user1'")


@pytest.mark.parametrize("what", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("name", ["chat.jsonl", "chat.json"])
def test_a_damaged_conversation_hides_no_other(path: Path, what: str, name: str) -> None:
    damage_conversation(path, what)
    file = path.with_name(name)
    with open_store(path) as store:
        told = store.get_conversation("user1")
        assert told is not None
        assert isinstance(told.metadata, dict)
        both = {"user1", "user2"}
        assert {told.key for told in store.get_conversations()} == both
        assert {told.key for told in store.get_conversations(order="key")} == both
        assert [problem for problem in store.check().problems if "user1" in problem]
        assert not [problem for problem in store.check().problems if "user2" in problem]
        store.export_json(file)
        before = {key: store.get_messages(key) for key in both}
    with open_store("memory://") as again:
        again.import_json(file)
        assert {key: again.get_messages(key) for key in again.get_keys()} == before
        assert again.check().ok


@pytest.mark.parametrize("what", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("name", ["chat.jsonl", "chat.json"])
def test_a_damaged_key_keeps_no_other_from_a_backup(path: Path, what: str, name: str) -> None:
    damage_conversation(path, what)
    file = path.with_name(name)
    with open_store(path) as store:
        assert ["is no key" in problem for problem in store.check().problems] == [True]
        store.export_json(file)
        kept = store.get_messages("user2")
    with open_store("memory://") as again:
        again.import_json(file)
        assert again.get_messages("user2") == kept
        assert again.check().ok


@pytest.mark.parametrize("what", UNDECODABLE.values(), ids=UNDECODABLE)
def test_a_damaged_row_can_be_removed(path: Path, what: str) -> None:
    damage(path, what)
    with open_store(path) as store:
        assert isinstance(store.delete_message("user1", 1), UndecodableMessage)
        assert [m.content for m in store.get_messages("user1")] == ["a", "c"]
        assert store.check().problems == []


def test_what_is_damaged_is_shown_byte_by_byte(path: Path) -> None:
    damage(path, UNDECODABLE["a byte of the payload"])
    with open_store(path) as store:
        assert seen(store) == ["a", None, "c"]
        (damaged,) = (m for m in store.get_messages("user1") if isinstance(m, UndecodableMessage))
        assert damaged.raw == "{\\xff}"
        store.add_message("user1", ChatMessage("é"))
        assert store.get_messages("user1", last=1) == [ChatMessage("é")]
