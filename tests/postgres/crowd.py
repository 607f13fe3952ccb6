"""Writers in processes of their own, which say what the store acknowledged."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]

# One process imports all there is to import, which takes longer than the work, and forks crowds.
_NURSERY = """
import json
import os
import signal
import socket
import sys

import alembic.migration
import alembic.operations
import psycopg
import sqlalchemy.dialects.postgresql.psycopg

import chatstore.sql.schema
from chatstore import ChatMessage, SQLChatStore


def append(who, tell):
    with SQLChatStore(url) as store:
        for n in range(times):
            key = f"k{(who + 7 * n) % keys}"
            if n % 10 == 9:
                store.add_messages(key, [ChatMessage(f"{who}:{n}{part}") for part in "abc"])
            else:
                store.add_message(key, ChatMessage(f"{who}:{n}"))
            tell(n)


def upgrade(who, tell):
    with SQLChatStore(url, upgrade=True) as store:
        tell(store.get_keys())


signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
link = socket.socket(fileno=int(sys.argv[1]))
while True:
    order, fds, _, _ = socket.recv_fds(link, 4096, 100)
    if not order:
        break
    start, *fds = fds
    url, task, times, keys = json.loads(order)
    for who, fd in enumerate(fds):
        if os.fork() == 0:
            link.close()
            for other in fds:
                if other != fd:
                    os.close(other)
            def tell(word):
                os.write(fd, f"{word}\\n".encode())
            try:
                tell(os.getpid())
                os.read(start, 1)
                {"append": append, "upgrade": upgrade}[task](who, tell)
                tell("done")
            except BaseException as error:
                tell(repr(error))
            os._exit(0)
    for fd in (start, *fds):
        os.close(fd)
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


@cache
def _nursery() -> socket.socket:
    """Where crowds are ordered, until this process ends."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-c", _NURSERY, str(theirs.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()])

    def end() -> None:
        ours.close()
        process.wait(60)

    atexit.register(end)
    return ours


@contextmanager
def crowd(
    url: str, task: Literal["append", "upgrade"], count: int, times: int = 1, keys: int = 1
) -> Iterator[list[Member]]:
    """Processes that begin at once: each appends so many times, every tenth time three messages."""
    start, begin = os.pipe()
    pipes = [os.pipe() for _ in range(count)]
    fds = [start, *(into for _, into in pipes)]
    try:
        socket.send_fds(_nursery(), [json.dumps([url, task, times, keys]).encode()], fds)
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
