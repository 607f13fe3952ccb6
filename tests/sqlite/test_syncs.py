"""How often a write waits for the disk, counted in system calls."""

from pathlib import Path

import pytest

from tests.sqlite.strace import Call, system_calls

PROGRAM = """
import asyncio, os, sys
from chatstore import ChatMessage, open_async_store, open_store

path, durability = sys.argv[1:]
hello = ChatMessage(role="user", content="Hello")

def done():
    os.write(1, b".")

with open_store(path, durability=durability) as store:
    store.add_message("k", hello)
    for call in (
        lambda: store.add_message("k", hello),
        lambda: store.add_messages("k", [hello] * 100),
        lambda: store.add_message("new", hello),
        lambda: store.add_message("k", hello, 50),
        lambda: store.update_message("k", 50, hello),
        lambda: store.delete_message("k", 50),
        lambda: store.archive_messages("k", 10),
        lambda: store.set_messages("k", [hello] * 3),
        lambda: store.copy_conversation("k", "fork"),
        lambda: store.delete_messages("fork"),
    ):
        done()
        call()
        done()

async def together():
    async with open_async_store(path, durability=durability) as store:
        await store.add_message("k", hello)
        done()
        await asyncio.gather(*(store.add_message("k", hello) for _ in range(50)))
        done()

asyncio.run(together())
"""


def syncs_between_marks(calls: list[Call]) -> list[int]:
    """The syncs inside each pair of marks on descriptor 1."""
    counts, inside = [], False
    for call in calls:
        if call.name == "write" and call.args[0] == "1":
            inside = not inside
            if inside:
                counts.append(0)
        elif inside and call.name in {"fsync", "fdatasync", "sync_file_range", "msync"}:
            counts[-1] += 1
    return counts


@pytest.mark.parametrize(("durability", "expected"), [("full", 1), ("normal", 0)])
def test_a_write_waits_once_for_the_disk_or_never(
    tmp_path: Path, durability: str, expected: int
) -> None:
    names = ["write", "fsync", "fdatasync", "sync_file_range", "msync"]
    words = ["-c", PROGRAM, str(tmp_path / "chat.db"), durability]
    calls = system_calls(words, names, tmp_path / "log")

    # The last one is that of fifty tasks, which share a commit.
    assert syncs_between_marks(calls) == [expected] * 11
