"""R9: forks among writing threads, with both faces open. Both sides go on, and nothing is lost."""

import asyncio
import os
import signal
import threading
import time
import warnings
from pathlib import Path

import pytest

from chatstore import AsyncChatStore, ChatMessage, open_async_store, open_store
from chatstore.store import ChatStore
from tests.processes import in_process
from tests.sqlite.history import look

CHILD = 5


def _in_child(store: ChatStore, tasks: AsyncChatStore, number: int) -> None:
    """In a forked child: both stores work, though threads and loops of the parent are gone."""
    signal.alarm(30)  # a child that hangs ends
    for place in range(CHILD):
        store.add_message("k", ChatMessage(content=f"child{number} {place}"))

    async def main() -> None:
        texts = [f"tasks{number} {place}" for place in range(CHILD)]
        await asyncio.gather(*(tasks.add_message("k", ChatMessage(content=t)) for t in texts))
        assert await tasks.count_messages("k") > 0

    asyncio.run(main())
    store.get_messages("k", last=3)
    store.close()
    asyncio.run(tasks.close())


def _forks(path: Path, forks: int, writers: int) -> dict[str, int]:
    """Runs in a process of its own. How many each writer was told that it had stored."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking among threads
    store, tasks = open_store(path), open_async_store(path)
    stop = threading.Event()
    told: dict[str, int] = {}

    def write(name: str) -> None:
        told[name] = 0
        while not stop.is_set():
            store.add_message("k", ChatMessage(content=f"{name} {told[name]}"))
            told[name] += 1

    def write_tasks(name: str) -> None:
        async def main() -> None:
            told[name] = 0
            while not stop.is_set():
                await tasks.add_message("k", ChatMessage(content=f"{name} {told[name]}"))
                told[name] += 1

        asyncio.run(main())

    threads = [threading.Thread(target=write, args=(f"thread{n}",)) for n in range(writers)]
    threads.append(threading.Thread(target=write_tasks, args=("task",)))
    for thread in threads:
        thread.start()
    try:
        for number in range(forks):
            time.sleep(0.005)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    _in_child(store, tasks, number)
                    code = 0
                finally:
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            assert status == 0, f"child {number}: {status}"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    asyncio.run(tasks.close())
    store.close()
    return told


def check(path: Path, told: dict[str, int], forks: int) -> None:
    state, wrong = look(path)
    assert not wrong
    words = [text.split() for text in state["k"]]
    expected = told | {f"{kind}{n}": CHILD for n in range(forks) for kind in ("child", "tasks")}
    for name, count in expected.items():
        assert [int(number) for who, number in words if who == name] == list(range(count)), name
    assert len(words) == sum(expected.values())


def test_forks_among_writing_threads_and_tasks(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    told = in_process(_forks, path, 15, 3)
    assert min(told.values()) > 0
    check(path, told, 15)


@pytest.mark.torture
def test_a_hundred_forks_among_writing_threads_and_tasks(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    told = in_process(_forks, path, 100, 3)
    check(path, told, 100)


def _fork_amid_opening(path: Path) -> int:
    """Runs in a process of its own. How its child ended, which used the store that was not open."""
    warnings.simplefilter("ignore", DeprecationWarning)
    tasks = open_async_store(path)
    opening = threading.Event()
    original = tasks._store._open  # type: ignore[attr-defined]

    def open_slowly() -> None:
        opening.set()
        time.sleep(0.3)
        original()

    tasks._store._open = open_slowly  # type: ignore[attr-defined]
    thread = threading.Thread(target=lambda: asyncio.run(tasks.count_messages("k")))
    thread.start()
    opening.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        asyncio.run(tasks.add_message("k", ChatMessage(content="child")))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    thread.join()
    asyncio.run(tasks.close())
    return status


def test_a_fork_amid_opening_leaves_no_lock_taken(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    assert in_process(_fork_amid_opening, path) == 0
    assert look(path) == ({"k": ["child"]}, [])
