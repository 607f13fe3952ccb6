"""Nothing is left behind: descriptors, threads, connections, memory of what was open."""

import asyncio
import gc
import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from chatstore import ChatMessage, open_async_store, open_store
from tests.processes import in_process, run_python

HELLO = ChatMessage(content="Hello")
Work = Callable[[Path, int], list[int]]


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"))


def _open_and_close(path: Path, rounds: int) -> list[int]:
    counts = []
    for number in range(rounds):
        with open_store(path) as store:
            store.get_messages("k", last=1)
            if number % 10 == 0:
                store.add_message("k", HELLO)
        if number % (rounds // 10) == 0:
            counts.append(descriptors())
    return counts


def _open_and_close_async(path: Path, rounds: int) -> list[int]:
    async def main() -> list[int]:
        counts = []
        for number in range(rounds):
            async with open_async_store(path) as store:
                await store.get_messages("k", last=1)
                if number % 10 == 0:
                    await store.add_message("k", HELLO)
            if number % (rounds // 10) == 0:
                counts.append(descriptors())
        assert threading.active_count() < 12
        return counts

    return asyncio.run(main())


def _open_and_forget(path: Path, rounds: int) -> list[int]:
    """Stores that nobody closes go when nobody has them any more."""
    warnings.simplefilter("ignore", ResourceWarning)  # newer Pythons tell of the connections
    counts = []
    for number in range(rounds):
        open_store(path).add_message("k", HELLO)
        if number % (rounds // 10) == 0:
            gc.collect()
            counts.append(descriptors())
    return counts


@pytest.mark.parametrize("work", [_open_and_close, _open_and_close_async, _open_and_forget])
def test_opening_and_closing_is_flat(
    tmp_path: Path, work: Callable[[Path, int], list[int]]
) -> None:
    counts = in_process(work, tmp_path / "chat.db", 100 if work is _open_and_forget else 400)
    assert max(counts[1:]) <= counts[0] + 1, counts


@pytest.mark.torture
@pytest.mark.parametrize("work", [_open_and_close, _open_and_close_async])
def test_opening_and_closing_ten_thousand_times_is_flat(tmp_path: Path, work: Work) -> None:
    counts = in_process(work, tmp_path / "chat.db", 10_000)
    assert max(counts[1:]) <= counts[0] + 1, counts


def test_a_store_that_cannot_be_opened_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    path.write_text("Dear diary" * 1_000)
    before = descriptors()
    for _ in range(20):
        with pytest.raises(Exception, match=path.name):
            open_store(path)
    gc.collect()
    assert descriptors() <= before + 1


PROGRAM = """
import asyncio, gc, sys, threading, warnings
from pathlib import Path
from chatstore import ChatMessage, StoreClosedError, open_async_store, open_store

path = Path(sys.argv[1])
hello = ChatMessage(content="Hello")

def use(number):
    for _ in range(5):
        store.add_message("k", hello)
        store.get_messages("k", start=1, stop=5)
        next(store.iter_messages("k"))

with open_store(path) as store:
    threads = [threading.Thread(target=use, args=(n,)) for n in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    store.check()
    store.erase("k")
    store.export_json(path.with_name("all.jsonl"))
    store.import_json(path.with_name("all.jsonl"))
    store.close()
try:
    store.count_messages("k")
except StoreClosedError:
    pass
with open_store("sqlite://") as store:
    use(0)

async def main():
    async with open_async_store(path) as store:
        await asyncio.gather(*(store.add_message("k", hello) for _ in range(20)))
        await asyncio.gather(*(store.get_messages("k") for _ in range(20)))
        task = asyncio.create_task(store.add_message("k", hello))
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        async for _ in store.iter_messages("k"):
            break

asyncio.run(main())
try:
    open_store(path, create=False, schema="no schema")
except Exception:
    pass
path.write_text("no database" * 1000)
for _ in range(2):
    try:
        open_store(path)
    except Exception:
        pass
del store
gc.collect()
"""


def test_no_resource_is_left_to_the_collector(tmp_path: Path) -> None:
    """From Python 3.13 on, a connection that nobody closed is a warning too."""
    options = ["-X", "dev", "-W", "error", "-W", "always::ResourceWarning"]
    done = run_python([*options, "-c", PROGRAM, str(tmp_path / "chat.db")])
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
