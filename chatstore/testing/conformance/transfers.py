"""`export_json` and `import_json`, from the point of view of a store."""

import io
import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chatstore import (
    ChatMessage,
    ChatStore,
    NativeMessage,
    SimpleChatStore,
    TransferError,
    UndecodableMessage,
)
from chatstore.testing.backend import Backend
from chatstore.testing.conformance.base import KEY, Base, OpenStore, describe, held, say
from chatstore.testing.conformance.values import KEPT, ODD_TEXTS
from chatstore.transfer import Stream

SUFFIXES = [".json", ".jsonl", ".jsonl.gz"]


def fill(store: ChatStore) -> None:
    """Two conversations that hold everything there is."""
    store.add_messages(KEY, say(*ODD_TEXTS.values()))
    store.add_message(
        KEY,
        ChatMessage(
            "dated",
            id="m1",
            role="assistant",
            created_at=datetime(2001, 2, 3, 4, 5, 6, 789, UTC),
            additional_kwargs=KEPT,
            later=1,
        ),
    )
    native = {"role": "tool", "tool_call_id": "c1", "content": "21 C", "x": None}
    store.add_message(KEY, NativeMessage("openai.chat", native), 3)
    store.archive_messages(KEY, 2)
    store.set_metadata(KEY, {"title": "Greeting", "odd": list(ODD_TEXTS.values())})
    store.add_message("é/😀 {}%", ChatMessage("b"))
    store.set_ttl("é/😀 {}%", 5000)


def everything(store: ChatStore) -> list[Any]:
    """All that an export keeps, to compare."""
    return [
        (
            (c.key, c.count, c.created_at, c.updated_at, c.expires_at, c.ttl, c.metadata),
            [
                (r.id if r.message.id else None, r.format, r.payload, r.status, r.created_at)
                for r in store.get_records(c.key)
            ],
        )
        for c in store.get_conversations(order="key")
    ]


class Transfers(Base):
    """Out and in again."""

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_everything_comes_back(
        self, store: ChatStore, tmp_path: Path, suffix: str, open_store: OpenStore
    ) -> None:
        fill(store)
        before, path = everything(store), tmp_path / f"backup{suffix}"
        report = store.export_json(path)
        assert (report.conversations, report.messages) == (2, len(ODD_TEXTS) + 3)
        for conversation in store.get_conversations():
            store.delete_messages(conversation.key)
        report = store.import_json(path)
        assert (report.conversations, report.messages) == (2, len(ODD_TEXTS) + 3)
        assert everything(store) == before
        assert store.check().ok

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_store_in_memory_understands_it(
        self, store: ChatStore, tmp_path: Path, suffix: str
    ) -> None:
        fill(store)
        path = tmp_path / f"backup{suffix}"
        store.export_json(path)
        with SimpleChatStore() as other:
            other.import_json(path)
            assert everything(other) == everything(store)
            other.export_json(tmp_path / f"again{suffix}")
        with SimpleChatStore() as third:
            third.import_json(tmp_path / f"again{suffix}")
            assert everything(third) == everything(store)

    def test_an_empty_store_is_exported_too(self, store: ChatStore, tmp_path: Path) -> None:
        for suffix in SUFFIXES:
            path = tmp_path / f"backup{suffix}"
            report = store.export_json(path)
            assert (report.conversations, report.messages) == (0, 0)
            assert store.import_json(path).conversations == 0
        assert store.get_keys() == []

    @pytest.mark.parametrize("format", ["json", "jsonl"])
    def test_open_files_are_written_and_read(self, store: ChatStore, format: Any) -> None:
        store.add_messages(KEY, say("a", "\ud800"))
        for file in (io.BytesIO(), io.StringIO()):
            store.set_messages(KEY, say("a", "\ud800"))
            store.export_json(file, format=format)
            store.delete_messages(KEY)
            file.seek(0)
            store.import_json(file, format=format)
            assert held(store) == ["a", "\ud800"]

    def test_what_is_imported_can_be_written_on(self, store: ChatStore) -> None:
        file = io.StringIO(
            '{"store": {"user1": [{"role": "user", "content": "Hello"}, {"role": "assistant", '
            '"blocks": [{"block_type": "text", "text": "Hi"}], "additional_kwargs": {"a": 1}}]}, '
            '"class_name": "SimpleChatStore"}'
        )
        store.import_json(file, format="json")
        store.add_message(KEY, ChatMessage("How are you?"))
        store.add_message(KEY, ChatMessage("first"), 0)
        store.archive_messages(KEY, 2)
        assert held(store) == ["first", "Hello", "Hi", "How are you?"]
        assert store.get_messages(KEY)[2].additional_kwargs == {"a": 1}
        assert describe(store).count == 4
        assert store.check().ok

    @pytest.fixture
    def backup(self) -> io.StringIO:
        """A file with two conversations."""
        file = io.StringIO()
        with SimpleChatStore() as other:
            other.add_messages("a", [ChatMessage("from file", id="m1"), ChatMessage("more")])
            other.add_message(KEY, ChatMessage("from file", id="m1"))
            other.add_message(KEY, ChatMessage("more"))
            other.set_metadata(KEY, {"from": "file"})
            other.export_json(file, format="jsonl")
        file.seek(0)
        return file

    def test_a_key_that_exists_stops_it(self, store: ChatStore, backup: io.StringIO) -> None:
        store.add_message(KEY, ChatMessage("old"))
        before = everything(store)
        with pytest.raises(TransferError, match=KEY):
            store.import_json(backup, format="jsonl")
        assert everything(store) == before

    def test_a_key_that_exists_is_skipped(self, store: ChatStore, backup: io.StringIO) -> None:
        store.add_message(KEY, ChatMessage("old"))
        report = store.import_json(backup, format="jsonl", on_conflict="skip")
        assert (report.conversations, report.messages, report.skipped) == (1, 2, 1)
        assert (held(store), held(store, "a")) == (["old"], ["from file", "more"])

    def test_a_key_that_exists_is_replaced(self, store: ChatStore, backup: io.StringIO) -> None:
        store.add_messages(KEY, [ChatMessage("old"), ChatMessage("other", id="m1")])
        stale = describe(store).revision
        report = store.import_json(backup, format="jsonl", on_conflict="replace")
        assert (report.conversations, report.messages) == (2, 4)
        assert held(store) == ["from file", "more"]
        assert describe(store).metadata == {"from": "file"}
        assert describe(store).revision != stale

    def test_a_key_that_exists_is_appended_to(self, store: ChatStore, backup: io.StringIO) -> None:
        store.add_messages(KEY, say("old"))
        store.set_metadata(KEY, {"from": "here"})
        store.import_json(backup, format="jsonl", on_conflict="append")
        assert held(store) == ["old", "from file", "more"]
        assert describe(store).metadata == {"from": "here"}
        assert store.check().ok

    def test_what_is_there_already_is_not_appended_again(
        self, store: ChatStore, backup: io.StringIO
    ) -> None:
        store.add_message(KEY, ChatMessage("from file", id="m1"))
        store.import_json(backup, format="jsonl", on_conflict="append")
        assert held(store) == ["from file", "more"]

    def test_an_id_with_other_content_stops_it(self, store: ChatStore, backup: io.StringIO) -> None:
        store.add_message(KEY, ChatMessage("other", id="m1"))
        before = everything(store)
        with pytest.raises(TransferError, match=f"line 6: .*{KEY!r} holds another .* id 'm1'"):
            store.import_json(backup, format="jsonl", on_conflict="append")
        assert everything(store) == before

    def test_an_id_that_two_messages_of_a_file_have_stops_it(self, store: ChatStore) -> None:
        one, other = (
            {"role": "user", "content": text, "additional_kwargs": {}, "id": "m1"} for text in "ab"
        )
        store.add_messages(KEY, say("old"))
        before = everything(store)
        file = io.StringIO(json.dumps({"store": {"a": [one], KEY: [one, one, other]}}))
        with pytest.raises(TransferError, match=f"message 3 of {KEY!r}: .* id 'm1'"):
            store.import_json(file, format="json", on_conflict="replace")
        assert everything(store) == before

    def test_an_expired_key_does_not_stop_it(
        self, open_store: OpenStore, backup: io.StringIO
    ) -> None:
        store = open_store(ttl=0.001)
        store.add_message(KEY, ChatMessage("old"))
        time.sleep(0.01)
        store.import_json(backup, format="jsonl")
        assert held(store) == ["from file", "more"]

    def test_a_damaged_file_changes_nothing(self, store: ChatStore, backup: io.StringIO) -> None:
        store.add_message(KEY, ChatMessage("old"))
        before, whole = everything(store), backup.getvalue()
        lines = whole.splitlines(keepends=True)
        for damaged in (
            whole[:-20],
            "".join(lines[:-1]),
            "".join(lines[:2] + lines[3:]),
            whole.replace("from file", "from fire"),
            whole.replace("{", "[", 1),
            "",
        ):
            with pytest.raises(TransferError):
                store.import_json(io.StringIO(damaged), format="jsonl", on_conflict="replace")
        assert everything(store) == before

    def test_a_missing_file_is_not_made(self, store: ChatStore, tmp_path: Path) -> None:
        with pytest.raises(TransferError):
            store.import_json(tmp_path / "none.jsonl")
        with pytest.raises(TransferError):
            store.export_json(tmp_path / "folder" / "none.jsonl")
        with pytest.raises(TransferError):
            store.export_json(tmp_path / "backup.txt")
        assert list(tmp_path.glob("*none*")) == []

    def test_an_export_is_the_same_after_a_round_trip(
        self, store: ChatStore, open_store: OpenStore
    ) -> None:
        fill(store)
        first, second = io.StringIO(), io.StringIO()
        store.export_json(first, format="jsonl")
        for conversation in store.get_conversations():
            store.delete_messages(conversation.key)
        first.seek(0)
        store.import_json(first, format="jsonl")
        store.export_json(second, format="jsonl")
        assert _but_for_the_header(first) == _but_for_the_header(second)

    def test_a_record_that_cannot_be_decoded_comes_along(
        self, store: ChatStore, backend: Backend
    ) -> None:
        store.add_messages(KEY, [ChatMessage("a"), ChatMessage("b", id="m1")])
        backend.put_raw(KEY, "chatstore/99", '{"later":[1]}')
        formats: list[Any] = ["json", "jsonl"]
        for format in formats:
            file = io.StringIO()
            store.export_json(file, format=format)
            file.seek(0)
            store.import_json(file, format=format, on_conflict="replace")
            found = store.get_messages(KEY)[1]
            assert isinstance(found, UndecodableMessage)
            assert (found.format, json.loads(found.raw)) == ("chatstore/99", {"later": [1]})

    @pytest.mark.parametrize("ending", ["taken in", "refused", "broken"])
    def test_a_stream_is_closed_by_the_store_that_began_it(
        self, store: ChatStore, ending: str
    ) -> None:
        """Also halfway: a traceback keeps a generator, with its file, and any thread frees it."""
        with SimpleChatStore() as other:
            for key in ("a", KEY, "z"):
                other.add_messages(key, say("from file", "more"))
            with other._snapshot() as held:
                frozen = [(told, [row.draft for row in rows]) for told, rows in held.conversations]
        if ending == "refused":
            store.add_message(KEY, ChatMessage("old"))
        before = everything(store)
        begun: list[int] = []
        closed: list[int] = []

        def stream() -> Stream:
            begun.append(threading.get_ident())
            try:
                yield from frozen
                if ending == "broken":
                    raise TransferError("it is broken")
            finally:
                closed.append(threading.get_ident())

        if ending == "taken in":
            assert store._restore(stream, "error").conversations == 3
        else:
            with pytest.raises(TransferError) as caught:
                store._restore(stream, "error")
            assert everything(store) == before
            assert caught.tb is not None  # it keeps the frames that the error went through
        assert begun
        assert closed == begun


def _but_for_the_header(file: io.StringIO) -> list[str]:
    return file.getvalue().splitlines()[1:]
