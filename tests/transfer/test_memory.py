"""Lines take constant memory both ways, however many messages there are."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from chatstore import clock
from chatstore.records import Conversation, Row
from chatstore.transfer import Format, OnConflict, Snapshot, Stream, TransferReport
from chatstore.transfer.export import export_json
from chatstore.transfer.restore import import_json
from tests.measuring import peak
from tests.transfer.given import HELLO, drain

FEW, MANY = 1_500, 3_500
PAYLOAD = HELLO.decode().replace("Hello", "Hello " * 300)
"""Three megabytes, and seven: both are more than the blocks that are written at a time."""
EACH = 70
"""Bytes that may be held for each message more. Where a file is unpacked while it is read it may be
more, since the most is held at its beginning."""


def snapshot(messages: int, talks: int) -> Callable[[], AbstractContextManager[Snapshot]]:
    """A store that holds nothing."""
    now = clock.show(clock.now())

    def rows() -> Iterator[Row]:
        for i in range(messages // talks):
            yield Row(1, i, i, None, "chatstore", PAYLOAD, "user", None, None, 0, 1_700_000_000 + i)

    def conversations() -> Iterator[tuple[Conversation, Iterator[Row]]]:
        for i in range(talks):
            yield Conversation(f"{i:09}", 0, now, now, None, None, {"i": i}, ""), rows()

    @contextmanager
    def opened() -> Iterator[Snapshot]:
        yield Snapshot(messages, True, conversations())

    return opened


@pytest.mark.parametrize("talks", [1, 500])
@pytest.mark.parametrize("name", ["chat.jsonl", "chat.jsonl.gz"])
@pytest.mark.parametrize("messages", [MANY, pytest.param(50_000, marks=pytest.mark.torture)])
def test_many_messages(messages: int, name: str, talks: int, tmp_path: Path) -> None:
    path, format = tmp_path / name, None

    def taken(messages: int) -> tuple[int, int]:
        export = snapshot(messages, talks)
        return (
            peak(lambda: export_json(export, path, source="", format=format, progress=None)),
            peak(
                lambda: import_json(drain, path, on_conflict="error", format=format, progress=None)
            ),
        )

    taken(talks)  # what is imported and built once, however many there are
    few, many = taken(FEW), taken(messages)
    # What is held are a few blocks of 1 MiB, as bytes, text and lines; one more to unpack.
    assert many[0] < 4 << 20
    assert many[1] < (7 if name.endswith(".gz") else 6) << 20
    for one, other in zip(few, many, strict=True):
        assert other - one < EACH * (messages - FEW)


def test_a_document_is_written_in_constant_memory(tmp_path: Path) -> None:
    path, format = tmp_path / "chat.json", None

    def taken(messages: int) -> int:
        export = snapshot(messages, 100)
        return peak(lambda: export_json(export, path, source="", format=format, progress=None))

    taken(100)  # what is imported and built once, however many there are
    few, many = taken(FEW), taken(MANY)
    assert path.stat().st_size > 6 << 20
    assert many < 4 << 20
    assert many - few < EACH * (MANY - FEW)


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_nothing_of_a_stream_is_kept(format: Format, tmp_path: Path) -> None:
    """A store may ask for the stream again, and leave drafts of it unread."""
    path = tmp_path / "chat"
    export_json(snapshot(300, 100), path, source="", format=format, progress=None)

    def restore(stream: Callable[[], Stream], on_conflict: OnConflict) -> TransferReport:
        for conversation, drafts in stream():
            if conversation.key.endswith("5"):
                next(iter(drafts))
            if conversation.key.endswith("70"):
                break
        keys = [conversation.key for conversation, _ in stream()]
        assert keys == [f"{i:09}" for i in range(100)]
        return drain(stream, on_conflict)

    report = import_json(restore, path, on_conflict="error", format=format, progress=None)
    assert (report.conversations, report.messages) == (100, 300)
