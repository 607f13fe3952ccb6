"""The command line in a process of its own, forked by a server that has imported it.

To begin a Python and to import everything takes it half a second, which is most of what it does.
"""

import os
import runpy
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import BinaryIO

from tests.processes import ended, processes


class Program:
    """`python -m chatstore` with some words, and with pipes to its three streams."""

    def __init__(self, *words: str, env: dict[str, str]) -> None:
        (reads, stdin), (stdout, writes), (stderr, complains) = [os.pipe() for _ in range(3)]
        theirs = (reads, writes, complains)
        self._process = begin(words, env, theirs)
        for stream in theirs:
            os.close(stream)
        self.stdin: BinaryIO = os.fdopen(stdin, "wb")
        self.stdout: BinaryIO = os.fdopen(stdout, "rb")
        self.stderr: BinaryIO = os.fdopen(stderr, "rb")

    def has_ended(self) -> bool:
        return not self._process.is_alive()

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self) -> int:
        """How it ends."""
        return ended(self._process)

    def communicate(self, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
        """Give it all this; how it ended, and what it wrote to both streams."""
        with self.stdout, self.stderr, ThreadPoolExecutor(2) as readers:
            out, err = (readers.submit(stream.read) for stream in (self.stdout, self.stderr))
            with suppress(BrokenPipeError), self.stdin:  # it need not read that far
                self.stdin.write(stdin)
            return self.wait(), out.result(), err.result()


def begin(words: Sequence[str], env: dict[str, str], streams: Sequence[int]) -> BaseProcess:
    """The process; it gets copies of three descriptors for its streams."""
    with ExitStack() as stack:
        given = [stack.enter_context(Connection(os.dup(stream))) for stream in streams]
        process = processes.Process(target=_become, args=(words, env, os.getcwd(), given))
        process.start()
    return process


def _become(
    words: Sequence[str], env: dict[str, str], folder: str, streams: list[Connection]
) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    # As Python itself opens them: what is written to a terminal is seen at once.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.path[:0] = env.get("PYTHONPATH", "").split(os.pathsep)
    sys.argv = ["chatstore", *words]
    runpy.run_module("chatstore", run_name="__main__", alter_sys=True)
