"""A file that is damaged, hostile, or of another kind is one error, and the store is as it was."""

import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, SimpleChatStore, TransferError
from chatstore.transfer import Format
from tests.transfer.given import (
    HEADER,
    HELLO,
    MESSAGE,
    TALK,
    TIME,
    TIMES,
    everything,
    exported,
    given_store,
    imported,
    sealed,
)

DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


def refused(data: bytes, format: Format, match: str) -> str:
    """Import into stores that hold something; what the one error says."""
    said = ""
    for on_conflict in ("error", "skip", "replace", "append"):
        store = given_store()
        before = everything(store)
        with pytest.raises(TransferError, match=match) as caught:
            store.import_json(io.BytesIO(data), format=format, on_conflict=on_conflict)
        said = str(caught.value)
        assert everything(store) == before
        assert "nothing was imported" in said
        assert "Hello" not in said, "the text of a message in an error"
    return said


def test_the_files_of_these_tests_are_whole() -> None:
    """Else each of them would be refused for another reason."""
    assert imported(sealed([TALK, MESSAGE])).get_messages("talk") == [ChatMessage("Hello")]
    assert imported(sealed([])).get_keys() == []
    assert imported(document(MESSAGES), "json").get_messages("talk") == [ChatMessage("Hello")]


# Lines that are sealed: the digest fits, so that each fault has to be found for itself


BAD_MESSAGES = {
    "no JSON": (b"Hello", "line 3: .*Expecting value"),
    "half a line": (MESSAGE[:-30], "line 3"),
    "two values": (MESSAGE + MESSAGE, "line 3: .*more behind"),
    "a list": (b"[1]", "line 3: it is no object"),
    "empty": (b"", "line 3"),
    "bad UTF-8": (MESSAGE.replace(b"Hello", b"Hello\xff"), "line 3: it is not UTF-8"),
    "half a character": (MESSAGE.replace(b"Hello", b"\xed\xa0\x80"), "line 3: it is not UTF-8"),
    "a control character": (MESSAGE.replace(b"Hello", b"\x01"), "line 3: .*control character"),
    "a name twice": (b"{" + TIME + b"," + MESSAGE[1:], "line 3: .*same name twice"),
    "a name twice in the payload": (
        MESSAGE.replace(b'"role":"user"', b'"role":"user","role":"tool"'),
        "line 3: .*same name twice",
    ),
    "payload twice": (MESSAGE[:-1] + b',"payload":' + HELLO + b"}", "line 3: .*same name twice"),
    "payload twice, once as a number": (
        MESSAGE.replace(TIME, TIME + b',"payload":1'),
        "line 3: .*same name twice",
    ),
    "depth": (b"{" + TIME + b',"payload":' + DEEP + b"}", "line 3: .*nested too deep"),
    "depth of arrays": (b"[" * 100_000, "line 3: .*nested too deep"),
    "depth that is just too much": (
        b"{" + TIME + b',"payload":{"role":"user","a":' + b"[" * 64 + b"]" * 64 + b"}}",
        "line 3: .*nested too deep",
    ),
    "5000 digits": (MESSAGE.replace(b"{}", b'{"n":' + b"9" * 5000 + b"}"), "line 3: .*digits"),
    "NaN": (MESSAGE.replace(b"{}", b'{"n":NaN}'), "line 3: .*NaN is no JSON"),
    "Infinity": (MESSAGE.replace(b"{}", b'{"n":Infinity}'), "line 3: .*Infinity"),
    "-Infinity": (MESSAGE.replace(b"{}", b'{"n":-Infinity}'), "line 3: .*-Infinity"),
    "1e400": (MESSAGE.replace(b"{}", b'{"n":1e400}'), "line 3: .*too large"),
    "-1e400": (MESSAGE.replace(b"{}", b'{"n":[-1e400]}'), "line 3: .*too large"),
    "no time": (b'{"payload":' + HELLO + b"}", "line 3: created_at"),
    "a number for a time": (MESSAGE.replace(TIME, b'"created_at":17'), "line 3: created_at"),
    "no such day": (MESSAGE.replace(b"01-31", b"02-31"), "line 3: created_at"),
    "no zone": (MESSAGE.replace(b"000000Z", b"000000"), "line 3: created_at"),
    "out of the calendar": (
        MESSAGE.replace(b"2026-01-31T12:00:00.000000Z", b"0001-01-01T00:00:00.000000+12:00"),
        "line 3: created_at is out of",
    ),
    "an unknown member": (b'{"x":1,' + MESSAGE[1:], "line 3: .*members that version 1"),
    "no payload": (b"{" + TIME + b"}", "line 3: .*either payload or raw"),
    "payload and raw": (
        MESSAGE.replace(b',"payload"', b',"raw":"x","payload"'),
        "line 3: .*either payload or raw",
    ),
    "payload is a list": (b"{" + TIME + b',"payload":[]}', "line 3: payload is no object"),
    "raw is a number": (b"{" + TIME + b',"raw":5}', "line 3: raw is no text"),
    "raw with half a pair": (b"{" + TIME + rb',"raw":"\ud800","role":"x"}', "line 3: raw .*lone"),
    "no role": (MESSAGE.replace(b'"role":"user",', b'"role":5,'), "line 3: .*has no role"),
    "an empty role": (MESSAGE.replace(b'"role":"user",', b'"role":"",'), "line 3: .*has no role"),
    "half a pair for a role": (MESSAGE.replace(b'"user"', rb'"\ud800"'), "line 3: .*has no role"),
    "blocks is no list": (
        b"{" + TIME + b',"payload":{"role":"user","blocks":5}}',
        "line 3: .*cannot be read as a message",
    ),
    "an unknown format without a role": (
        b"{" + TIME + b',"format":"x/2","payload":{}}',
        "line 3: .*format that this version lacks",
    ),
    "format is a number": (
        MESSAGE.replace(b',"payload"', b',"format":1,"payload"'),
        "line 3: form",
    ),
    "tool_call_ids is a text": (
        b"{" + TIME + b',"format":"x/2","role":"user","tool_call_ids":"c1","payload":{}}',
        "line 3: tool_call_ids",
    ),
    "kind is a number": (
        b"{" + TIME + b',"format":"x/2","role":"user","kind":1,"payload":{}}',
        "line 3: kind",
    ),
    "a status that is none": (MESSAGE.replace(TIME, TIME + b',"status":"x"'), "line 3: status"),
    "an id that is no text": (MESSAGE.replace(TIME, TIME + b',"id":5'), "line 3: .*id"),
    "an empty id": (MESSAGE.replace(TIME, TIME + b',"id":""'), "line 3: .*id"),
    "an id that stores make": (MESSAGE.replace(TIME, TIME + b',"id":"~1-1"'), "line 3: .*id"),
    "an id that is too long": (
        MESSAGE.replace(TIME, TIME + b',"id":"' + b"x" * 513 + b'"'),
        "line 3: .*id",
    ),
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_a_bad_message(name: str) -> None:
    line, match = BAD_MESSAGES[name]
    refused(sealed([TALK, line, MESSAGE]), "jsonl", match)


BAD_TALKS = {
    "no key": (b'{"conversation":"",' + TIMES + b"}", "line 2: a key is empty"),
    "a key that is too long": (b'{"conversation":"' + b"x" * 1025 + b'",' + TIMES + b"}", "line 2"),
    "a key with NUL": (rb'{"conversation":"a\u0000",' + TIMES + b"}", "line 2: .*NUL"),
    "half a pair in a key": (rb'{"conversation":"\udc00",' + TIMES + b"}", "line 2: .*surrogate"),
    "a number for a key": (b'{"conversation":5,' + TIMES + b"}", "line 2: a key is a str"),
    "no times": (b'{"conversation":"user1"}', "line 2: created_at"),
    "a number for a time": (TALK.replace(b'"2026-01-31T12:00:00.000000Z"', b"5"), "line 2"),
    "an unknown member": (TALK[:-1] + b',"x":1}', "line 2: .*members that version 1"),
    "metadata is a list": (TALK[:-1] + b',"metadata":[]}', "line 2: metadata is no object"),
    "metadata twice": (TALK[:-1] + b',"metadata":{"a":1,"a":1}}', "line 2: .*same name twice"),
    "deep metadata": (TALK[:-1] + b',"metadata":' + DEEP + b"}", "line 2: .*nested too deep"),
    "metadata that is just too deep": (
        TALK[:-1] + b',"metadata":{"a":' + b"[" * 64 + b"]" * 64 + b"}}",
        "line 2: metadata is nested",
    ),
}
for ttl in (b"0", b"-5", b"1e300", b'"5"', b"true", b"null", b"9" * 400):
    BAD_TALKS[f"the ttl {ttl[:9]!r}"] = (
        TALK[:-1] + b',"ttl":' + ttl + b',"expires_at":"2036-01-31T12:00:00Z"}',
        "line 2: ttl",
    )
BAD_TALKS["ttl alone"] = (TALK[:-1] + b',"ttl":5}', "line 2: ttl and expires_at")
BAD_TALKS["expires_at alone"] = (
    TALK[:-1] + b',"expires_at":"2036-01-31T12:00:00Z"}',
    "line 2: ttl and expires_at",
)
BAD_TALKS["expires_at is no time"] = (
    TALK[:-1] + b',"ttl":5,"expires_at":"soon"}',
    "line 2: expires_at",
)


@pytest.mark.parametrize("name", BAD_TALKS)
def test_a_bad_conversation(name: str) -> None:
    line, match = BAD_TALKS[name]
    refused(sealed([line, MESSAGE]), "jsonl", match)


def test_lines_in_a_wrong_order() -> None:
    other = TALK.replace(b"talk", b"walk")
    refused(sealed([MESSAGE]), "jsonl", "line 2: a message comes before")
    refused(sealed([TALK, MESSAGE, TALK, MESSAGE]), "jsonl", "line 4: .*there already")
    refused(sealed([other, MESSAGE, TALK, MESSAGE]), "jsonl", "line 4: .*too late")
    refused(sealed([TALK, other, MESSAGE]), "jsonl", "line 3: .*neither a message")
    refused(sealed([TALK]), "jsonl", "line 3: .*neither a message")


def test_two_messages_with_an_id() -> None:
    line = MESSAGE.replace(TIME, TIME + b',"id":"m1"')
    assert len(imported(sealed([TALK, line, line])).get_messages("talk")) == 1
    other = line.replace(b"Hello", b"Goodbye")
    refused(sealed([TALK, line, other]), "jsonl", "m1")


# Damage


def lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def test_nothing_there(tmp_path: Path) -> None:
    for name in ("chat.json", "chat.jsonl", "chat.jsonl.gz"):
        with pytest.raises(TransferError, match="there is no such file"):
            given_store().import_json(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_an_empty_file(format: Format) -> None:
    refused(b"", format, "the file is empty")
    if format == "jsonl":
        refused(gzip.compress(b""), format, "the file is empty")


def test_a_file_that_is_cut_short_anywhere() -> None:
    data = exported(given_store())
    for end in range(1, len(data) - 1):
        with pytest.raises(TransferError):
            imported(data[:end])
    whole = lines(data)
    said = refused(b"".join(whole[:5]), "jsonl", "line 5: .*cut short")
    assert "get a whole copy" in said
    refused(whole[0], "jsonl", "line 2: .*cut short")


def test_the_last_newline_is_not_needed() -> None:
    store = given_store()
    assert everything(imported(exported(store)[:-1])) == everything(store)


def test_a_line_that_is_gone_or_there_twice_or_elsewhere() -> None:
    first, talk, *messages, last = lines(exported(given_store()))
    refused(b"".join([first, talk, *messages[1:], last]), "jsonl", "footer counts other lines")
    refused(b"".join([first, talk, messages[0], *messages, last]), "jsonl", "footer counts other")
    messages[0], messages[1] = messages[1], messages[0]
    refused(b"".join([first, talk, *messages, last]), "jsonl", "digest does not fit")


def test_a_changed_text_is_found_by_the_digest_alone() -> None:
    data = sealed([TALK, MESSAGE]).replace(b"Hello", b"Holle")
    refused(data, "jsonl", "line 4: the digest does not fit: .*get a whole copy")


def test_a_changed_line_that_cannot_be_read_is_named() -> None:
    data = sealed([TALK, MESSAGE, MESSAGE]).replace(b'{"created_at"', b'["created_at"', 1)
    refused(data, "jsonl", "line 3: ")


def test_a_footer_that_tells_of_another_content() -> None:
    data = sealed([TALK, MESSAGE, MESSAGE])
    for change in (
        (b'"conversations": 1, "messages": 2', b'"conversations": 2, "messages": 1'),
        (b'"messages": 2', b'"messages": 3'),
        (b'"messages": 2', b'"messages": -2'),
        (b'"messages": 2', b'"messages": 2.0'),
        (b'"messages": 2', b'"messages": true'),
        (b'"end": true', b'"end": 1'),
        (b'"end": true', b'"end": true, "more": 1'),
        (b'"sha256": "', b'"sha256": "0'),
        (b'"sha256": "', b'"sha256": 0, "x": "'),
    ):
        assert change[0] in data
        refused(data.replace(*change), "jsonl", "line 5")


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_bytes(sealed([TALK, MESSAGE]))
    store = SimpleChatStore()
    restore = store._restore

    def late(stream: Any, on_conflict: Any) -> Any:
        path.write_bytes(path.read_bytes().replace(b"Hello", b"Holle"))
        return restore(stream, on_conflict)

    store._restore = late  # type: ignore[method-assign]
    with pytest.raises(TransferError, match="footer tells of another content"):
        store.import_json(path)
    assert store.get_keys() == []


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ((b'"version":1', b'"version":2'), "line 1: .*version 2.* upgrade chatstore-sql"),
        ((b'"version":1', b'"version":2,"new":1'), "upgrade chatstore-sql"),
        ((b'"version":1', b'"version":0'), "line 1: the header tells no version"),
        ((b'"version":1', b'"version":true'), "line 1: the header tells no version"),
        ((b'"version":1', b'"version":"1"'), "line 1: the header tells no version"),
        ((b'"version":1,', b""), "line 1: the header tells no version"),
        ((b'"format":"chatstore"', b'"format":"other"'), "line 1: .*another kind of file"),
        ((b'"format":"chatstore",', b""), "line 1: .*another kind of file"),
        ((b'"source"', b'"sauce"'), "line 1: the header is not whole"),
        ((b'"snapshot":true', b'"snapshot":1'), "line 1: the header is not whole"),
        ((HEADER, b"x" * 100), "line 1: .*another kind of file"),
        ((HEADER, HEADER + b"\xff"), "line 1: .*another kind of file"),
        ((HEADER, b'{"messages":[{"role":"user","content":"Hello"}]}'), "another kind of file"),
    ],
)
def test_another_header(change: tuple[bytes, bytes], match: str) -> None:
    data = sealed([TALK, MESSAGE])
    assert change[0] in data
    refused(data.replace(*change), "jsonl", match)


def test_a_byte_order_mark_is_passed_over() -> None:
    for data, format in ((sealed([TALK, MESSAGE]), "jsonl"), (document(MESSAGES), "json")):
        assert imported(b"\xef\xbb\xbf" + data, format).get_keys() == ["talk"]  # type: ignore[arg-type]


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_text_that_is_no_text(format: Format) -> None:
    with pytest.raises(TransferError, match="not UTF-8"):
        SimpleChatStore().import_json(io.StringIO("{\ud800"), format=format)


def test_gzip_that_is_damaged(tmp_path: Path) -> None:
    packed = gzip.compress(exported(given_store()))
    path = tmp_path / "chat.jsonl.gz"
    for data in (
        packed[:5],
        packed[:-1],
        packed[: len(packed) // 2],
        packed[:40] + bytes(20) + packed[60:],
        packed[:-6] + bytes(6),
        packed + b"more",
    ):
        refused(data, "jsonl", "gzip data is cut short or damaged; get a whole copy")
        path.write_bytes(data)
        with pytest.raises(TransferError, match="gzip data"):
            given_store().import_json(path)


def test_gzip_that_holds_too_much(monkeypatch: Any) -> None:
    """A bomb: one line that never ends."""
    monkeypatch.setattr("chatstore.transfer.lines.MAX_LINE", 4 << 20)
    refused(zip_of(b"\0", 16 << 20), "jsonl", "line 1: it takes more than 4194304 bytes")
    refused(zip_of(HEADER + b"\n", 16 << 20), "jsonl", "line 2: it takes more than 4194304 bytes")


def zip_of(start: bytes, size: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(start) + packer.compress(b" " * size) + packer.flush()


def test_a_line_is_as_long_as_it_may_be(monkeypatch: Any) -> None:
    data = sealed([TALK, MESSAGE])
    longest = max(map(len, lines(data)))
    # The limit is for what is held at a time, so that a block of more than a byte may hide a few.
    monkeypatch.setattr("chatstore.transfer.origin.BLOCK", 1)
    monkeypatch.setattr("chatstore.transfer.lines.MAX_LINE", longest)
    assert imported(data).get_keys() == ["talk"]
    monkeypatch.setattr("chatstore.transfer.lines.MAX_LINE", longest - 1)
    with pytest.raises(TransferError, match="line 3: it takes more than"):
        imported(data)


def test_what_is_too_long_to_be_imported_is_not_exported(monkeypatch: Any) -> None:
    store = SimpleChatStore()
    store.add_message("user1", ChatMessage("x" * 5000))
    monkeypatch.setattr("chatstore.transfer.lines.MAX_LINE", 5000)
    with pytest.raises(TransferError, match="no import would take"):
        exported(store)


def test_whatever_is_accepted_at_the_write_fits_into_a_line() -> None:
    from chatstore import arguments, codec
    from chatstore.transfer import lines as written

    around = 6 * arguments.MAX_ID_BYTES + 6 * 1024 + 1000
    assert codec.MAX_PAYLOAD_BYTES + around < written.MAX_LINE


def test_five_megabytes_of_emoji() -> None:
    store = SimpleChatStore()
    store.add_message("user1", ChatMessage("😀" * (5 << 18)))
    assert everything(imported(exported(store))) == everything(store)


# The document


def document(messages: bytes, **more: Any) -> bytes:
    top = {"class_name": "SimpleChatStore", "format": "chatstore", "version": 1, **more}
    return json.dumps(top).encode()[:-1] + b',\n"store":{\n"talk":[\n' + messages + b"]}}"


MESSAGES = HELLO[:-1] + b"," + TIME + b"}"

BAD_DOCUMENTS = {
    "no JSON": (b"Hello", "line 1: "),
    "a list": (b"[]", "line 1: .*an object is expected"),
    "no store": (b'{"a":1}', "line 1: .*another kind of file"),
    "a number": (b"5", "line 1: .*an object is expected"),
    "a text": (b'"x"', "line 1: "),
    "a text in a text": (rb'"\"x\""', "line 1: .*an object is expected"),
    "store is a list": (b'{"store":[]}', "line 1: .*an object is expected"),
    "messages are an object": (b'{"store":{"a":{}}}', "line 1: .*an array is expected"),
    "a message is a text": (b'{"store":{"a":["Hello"]}}', "line 1: a message is no object"),
    "content is a number": (b'{"store":{"a":[{"content":5}]}}', "line 1: blocks: "),
    "role is a number": (b'{"store":{"a":[{"role":5}]}}', "line 1: role: "),
    "a block without a type": (b'{"store":{"a":[{"blocks":[{}]}]}}', "line 1: blocks: "),
    "cut short": (document(MESSAGES)[:-1], "line 4: .*comma is expected, or the end"),
    "more behind": (document(MESSAGES) + b"{}", "line 4: .*more behind"),
    "two keys": (b'{"store":{"a":[],\n"a":[]}}', "line 2: .*same name twice"),
    "two stores": (b'{"store":{},\n"store":{}}', "line 2: .*same name twice"),
    "a key without quotes": (b"{5:1}", "line 1: a name in quotes"),
    "no colon": (b'{"store" {}}', "line 1: .*colon"),
    "no comma": (b'{"store":{} "a":1}', "line 1: .*comma"),
    "a comma too much": (b'{"store":{},}', "line 1: "),
    "an empty key": (b'{"store":{"":[{"content":"x"}]}}', "line 1: a key is empty"),
    "bad UTF-8": (document(MESSAGES.replace(b"Hello", b"\xff")), "line 4: it is not UTF-8"),
    "depth": (document(DEEP), "line 4: .*nested too deep"),
    "depth elsewhere": (b'{"x":' + DEEP + b"}", "line 1: .*nested too deep"),
    "5000 digits": (
        document(MESSAGES.replace(b"{}", b'{"n":' + b"9" * 5000 + b"}")),
        "line 4: .*dig",
    ),
    "NaN": (document(MESSAGES.replace(b"{}", b'{"n":NaN}')), "line 4: NaN is no JSON"),
    "1e400": (document(MESSAGES.replace(b"{}", b'{"n":1e400}')), "line 4: a number is too large"),
    "a name twice": (document(b'{"role":"user","role":"user"}'), "line 4: .*same name twice"),
    "a bad time": (document(MESSAGES.replace(b"2026-01", b"2026-13")), "line 4: created_at"),
    "a bad id": (document(b'{"content":"Hello","id":"~1"}'), "line 4: .*id"),
    "a bad status": (document(b'{"content":"Hello","status":"x"}'), "line 4: status"),
    "native is a list": (document(b'{"role":"user","native":[]}'), "line 4: .*version 1"),
    "native and more": (
        document(b'{"role":"user","x":1,"native":{"payload":' + HELLO + b"}}"),
        "line 4: .*version 1",
    ),
    "native without payload": (
        document(b'{"role":"user","native":{}}'),
        "line 4: .*either payload",
    ),
    "a second message": (document(MESSAGES + b",\n" + b'{"role":""}'), "line 5: role: "),
    "newer": (document(MESSAGES, version=2), "version 2.*upgrade chatstore-sql"),
    "no version": (document(MESSAGES, version=None), "no version"),
    "an unknown member": (document(MESSAGES, x=1), "members that version 1"),
    "a conversation that is not there": (
        document(MESSAGES, conversations={"user2": {}}),
        "line 1: .*no messages in the store",
    ),
    "a conversation that is a list": (document(MESSAGES, conversations={"talk": []}), "no object"),
    "conversations is a list": (document(MESSAGES, conversations=[]), "conversations is no object"),
    "a negative ttl": (
        document(
            MESSAGES,
            conversations={
                "talk": {**json.loads(b"{" + TIMES + b"}"), "ttl": -1, "expires_at": "2036-01-01"}
            },
        ),
        "line 1: ttl",
    ),
    "jsonl": (sealed([TALK, MESSAGE]), "line 2: .*more behind"),
}


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_a_bad_document(name: str) -> None:
    data, match = BAD_DOCUMENTS[name]
    refused(data, "json", match)


def test_a_document_that_is_cut_short_anywhere() -> None:
    data = exported(given_store(), "json")
    for end in range(len(data) - 2):
        with pytest.raises(TransferError):
            imported(data[:end], "json")


def test_a_document_that_is_too_large_for_memory(monkeypatch: Any) -> None:
    def none_left(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("chatstore.transfer.document_in._Walk", none_left)
    refused(document(MESSAGES), "json", r"too large .* export a \.jsonl")
