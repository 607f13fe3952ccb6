"""Writers in processes of their own, which say what the store acknowledged."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]

# One process imports all there is to import, which takes longer than the work, and forks the crowd.
_NURSERY = """
import os
import sys

import alembic.migration
import alembic.operations
import psycopg
import sqlalchemy.dialects.postgresql.psycopg

import chatstore.sql.schema
from chatstore import ChatMessage, SQLChatStore

url, task, times, keys, start, *fds = sys.argv[1:]


def append(who, tell):
    with SQLChatStore(url) as store:
        for n in range(int(times)):
            key = f"k{(who + 7 * n) % int(keys)}"
            if n % 10 == 9:
                store.add_messages(key, [ChatMessage(f"{who}:{n}{part}") for part in "abc"])
            else:
                store.add_message(key, ChatMessage(f"{who}:{n}"))
            tell(n)


def upgrade(who, tell):
    with SQLChatStore(url, upgrade=True) as store:
        tell(store.get_keys())


for who, fd in enumerate(fds):
    if os.fork() == 0:
        for other in fds:
            if other != fd:
                os.close(int(other))
        def tell(word):
            os.write(int(fd), f"{word}\\n".encode())
        try:
            tell(os.getpid())
            os.read(int(start), 1)
            {"append": append, "upgrade": upgrade}[task](who, tell)
            tell("done")
        except BaseException as error:
            tell(repr(error))
        os._exit(0)
"""


class Member:
    """A process of the crowd, and what it told."""

    def __init__(self, who: int, fd: int) -> None:
        self.who = who
        self.told: list[str] = []
        self._stream = os.fdopen(fd)
        self.pid = int(self._stream.readline())

    def listen(self, lines: int | None = None) -> None:
        """Take what it says: so many lines, or all until it ends."""
        while lines is None or len(self.told) < lines:
            line = self._stream.readline()
            if not line.endswith("\n"):
                return
            self.told.append(line.strip())

    def kill(self) -> None:
        """With signal 9, if it is there still."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self.kill()
        self._stream.close()


@contextmanager
def crowd(
    url: str, task: Literal["append", "upgrade"], count: int, times: int = 1, keys: int = 1
) -> Iterator[list[Member]]:
    """Processes that begin at once: each appends so many times, every tenth time three messages."""
    start, begin = os.pipe()
    pipes = [os.pipe() for _ in range(count)]
    words = [url, task, str(times), str(keys), str(start), *(str(into) for _, into in pipes)]
    fds = [start, *(into for _, into in pipes)]
    try:
        nursery = subprocess.Popen([sys.executable, "-c", _NURSERY, *words], cwd=ROOT, pass_fds=fds)
    finally:
        for fd in fds:
            os.close(fd)
    members = []
    try:
        for who, (out, _) in enumerate(pipes):
            members.append(Member(who, out))
        os.write(begin, b"x" * count)
        yield members
    finally:
        os.close(begin)
        for member in members:
            member.close()
        assert nursery.wait(60) == 0
