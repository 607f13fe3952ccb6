import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, ChatStore, TransferError, open_store
from chatstore.importers import import_file, import_server
from chatstore.importers.between import content_digest, copy_store
from chatstore.importers.registry import NAMES, find, guess
from chatstore.importers.source import Source
from tests.importers.conftest import Write

ROW = {"messages": [{"role": "user", "content": "Grüße"}]}


def test_gzip_is_read_whatever_the_name(store: ChatStore, tmp_path: Path, lines: Write) -> None:
    path = tmp_path / "packed.bin"
    path.write_bytes(gzip.compress(lines(ROW).read_bytes()))
    assert import_file(store, path).importer == "openai"
    assert store.get_messages("packed:000001")[0].content == "Grüße"


def test_a_byte_order_mark_is_no_text(store: ChatStore, tmp_path: Path, lines: Write) -> None:
    path = tmp_path / "bom.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + lines(ROW).read_bytes())
    assert import_file(store, path).messages == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"hello\n", "is not JSON"),
        (b"5\n", "not certain"),
        (b"[]", "not certain"),
        (
            b'{"messages":[{"role":"user","content":' + b"9" * 6000 + b"}]}\n",
            "line 1 holds an integer of too many digits; nothing",
        ),
        (
            b'{"messages":[{"role":"","content":"secret"}]}\n',
            r"message 1\.payload is no openai\.chat message: role: a role is not empty",
        ),
        (b'{"messages": "\xff"}\n', r"line 1 is not UTF-8 \(byte 15\)"),
        (gzip.compress(b'{"messages": []}\n' * 1000, mtime=0)[:20], "cannot be read"),
        (b"PK\x03\x04 nonsense", "cannot be read"),
    ],
)
def test_what_is_no_chat_is_refused(
    store: ChatStore, tmp_path: Path, data: bytes, said: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(TransferError, match=said):
        import_file(store, path)
    assert store.get_keys() == []


def test_a_missing_file_is_not_created(store: ChatStore, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="there is no file"):
        import_file(store, tmp_path / "missing.jsonl", "openai")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(store: ChatStore, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="cannot be read"):
        import_file(store, tmp_path)


def test_an_unknown_importer_is_refused(store: ChatStore, lines: Write) -> None:
    with pytest.raises(TransferError, match="no importer is called 'word'"):
        import_file(store, lines(ROW), "word")


def test_a_database_is_told_by_its_name_without_opening_it(tmp_path: Path) -> None:
    # To open and close a live database would drop its locks.
    assert Source(tmp_path / "chat.db").is_database


def test_every_importer_says_what_it_reads() -> None:
    for name in NAMES[1:]:
        assert name == find(name).NAME
        assert find(name).SUMMARY


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ('{"format":"chatstore","version":1}\n{"key":"a"}', "chatstore"),
        ('{"store": {"a": []}, "class_name": "SimpleChatStore"}', "chatstore"),
        ('{\n "store": {"a": []}\n}', "chatstore"),
    ],
)
def test_our_own_files_are_known(tmp_path: Path, first: str, name: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(first)
    assert guess(Source(path)) == name


def test_a_copy_is_equal_and_a_change_is_seen(store: ChatStore) -> None:
    store.add_messages("b", [ChatMessage("1", id="m1"), ChatMessage("\x00\ud800 2")])
    store.add_message("a", ChatMessage("3", role="assistant"))
    store.set_metadata("a", {"title": "x"})
    store.set_ttl("b", 1000)
    store.archive_messages("b", 1)
    with open_store("memory://") as other:
        report = copy_store(store, other)
        assert (report.conversations, report.messages, report.verified) == (2, 3, 2)
        assert report.problems == []
        assert report.digest == content_digest(store) == content_digest(other)
        other.delete_message("b", 0)
        assert content_digest(other) != report.digest


def test_a_copy_compares_what_it_put_there(
    store: ChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_messages("a", [ChatMessage("1"), ChatMessage("2")])
    store.add_message("b", ChatMessage("3"))
    store.add_message("c", ChatMessage("3"))
    with open_store("memory://") as other:
        restore = other._restore

        def faulty(*args: object) -> object:
            report = restore(*args)  # type: ignore[arg-type]
            other.delete_last_message("a")
            other.update_message("b", 0, ChatMessage("4"))
            other.delete_messages("c")
            return report

        monkeypatch.setattr(other, "_restore", faulty)
        assert copy_store(store, other).problems == [
            "'a' has 1 messages in the target, not 2",
            "'b' has other content in the target",
            "'c' is missing in the target",
        ]


@pytest.mark.parametrize("path", [None, 5, True, ["chat.json"], "chat\0.json"])
def test_what_is_no_path_is_called_what_it_is(store: ChatStore, path: Any) -> None:
    with pytest.raises(TransferError, match=r"named by its path, not|holds NUL"):
        import_file(store, path)


def test_a_path_may_be_bytes(store: ChatStore, lines: Write) -> None:
    path: Any = os.fsencode(lines(ROW))
    assert import_file(store, path).messages == 1


def test_an_importer_of_a_server_that_is_unknown_is_named(store: ChatStore) -> None:
    with pytest.raises(TransferError, match=r"'openai'; known are langchain-sql, "):
        import_server(store, "redis://localhost", "openai")
