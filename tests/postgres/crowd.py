"""Writers in processes of their own, which say what the store acknowledged."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.connection import Connection
from typing import Any, Literal

from chatstore import ChatMessage, SQLChatStore
from tests.processes import processes

Tell = Callable[[object], None]
HERE = "here"


def _append(who: int, tell: Tell, url: str, times: int, keys: int) -> None:
    with SQLChatStore(url) as store:
        for n in range(times):
            key = f"k{(who + 7 * n) % keys}"
            if n % 10 == 9:
                store.add_messages(key, [ChatMessage(f"{who}:{n}{part}") for part in "abc"])
            else:
                store.add_message(key, ChatMessage(f"{who}:{n}"))
            tell(n)


def _upgrade(who: int, tell: Tell, url: str, times: int, keys: int) -> None:
    with SQLChatStore(url, upgrade=True) as store:
        tell(store.get_keys())


_TASKS = {"append": _append, "upgrade": _upgrade}


def _work(task: str, who: int, start: Connection, telling: Connection, *how: Any) -> None:
    telling.send(HERE)
    os.read(start.fileno(), 1)
    try:
        _TASKS[task](who, telling.send, *how)
        telling.send("done")
    except BaseException as error:  # noqa: BLE001
        telling.send(repr(error))


class Member:
    """A process of the crowd, and what it told."""

    def __init__(self, task: str, who: int, start: Connection, *how: Any) -> None:
        self.who = who
        self.told: list[Any] = []
        self._ear, telling = processes.Pipe(duplex=False)
        with telling:
            words = (task, who, start, telling, *how)
            self._process = processes.Process(target=_work, args=words)
            self._process.start()

    def be_there(self) -> None:
        """Wait until it is ready to begin."""
        assert self._ear.recv() == HERE

    def listen(self, words: int | None = None) -> None:
        """Take what it says: so many words, or all until it ends."""
        try:
            while words is None or len(self.told) < words:
                self.told.append(self._ear.recv())
        except EOFError:
            pass

    def kill(self) -> None:
        """With signal 9, if it is there still."""
        self._process.kill()

    def close(self) -> None:
        self.kill()
        self._process.join()
        self._process.close()
        self._ear.close()


@contextmanager
def crowd(
    url: str, task: Literal["append", "upgrade"], count: int, times: int = 1, keys: int = 1
) -> Iterator[list[Member]]:
    """Processes that begin at once: each appends so many times, every tenth time three messages."""
    start, begin = processes.Pipe(duplex=False)
    with start, begin, ExitStack() as stack:
        members = [
            stack.enter_context(closing(Member(task, who, start, url, times, keys)))
            for who in range(count)
        ]
        for member in members:
            member.be_there()
        os.write(begin.fileno(), b"x" * count)
        yield members
