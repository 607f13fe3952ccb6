"""The command line in a process of its own, forked by a server that has imported it.

To begin a Python and to import everything takes it half a second, which is most of what it does.
"""

import os
import runpy
import sys
from multiprocessing.connection import Connection
from threading import Thread

from tests.processes import processes


class Program:
    """`python -m chatstore` with some words, and pipes to its three streams, or other streams."""

    def __init__(self, *words: str, env: dict[str, str], streams: list[int] | None = None) -> None:
        pipes = [os.pipe() for _ in range(3)] if streams is None else []
        theirs = [into for _, into in pipes] if pipes else [os.dup(fd) for fd in streams or ()]
        if pipes:
            (theirs[0], ours), (out, _), (err, _) = pipes
            self.stdin = open(ours, "wb")  # noqa: SIM115 - as long as this
            self.stdout = open(out, "rb")  # noqa: SIM115
            self.stderr = open(err, "rb")  # noqa: SIM115
        given = [Connection(fd) for fd in theirs]
        self._process = processes.Process(target=_become, args=(words, env, os.getcwd(), given))
        self._process.start()
        for stream in given:
            stream.close()

    def ended(self) -> bool:
        return not self._process.is_alive()

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self) -> int:
        """How it ended."""
        self._process.join(60)
        code = self._process.exitcode
        assert code is not None, "it does not end"
        self._process.close()
        return code

    def communicate(self, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
        """Give it all this; how it ended, and what it wrote to both streams."""
        said = [b"", b""]

        def listen(which: int) -> None:
            with (self.stdout, self.stderr)[which] as stream:
                said[which] = stream.read()

        threads = [Thread(target=listen, args=(which,)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        try:
            with self.stdin:
                self.stdin.write(stdin)
        except BrokenPipeError:
            pass  # it did not read that far
        for thread in threads:
            thread.join()
        return self.wait(), said[0], said[1]


def _become(
    words: tuple[str, ...], environment: dict[str, str], folder: str, streams: list[Connection]
) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    # As Python itself opens them: what is written to a terminal is seen at once.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.argv = ["chatstore", *words]
    runpy.run_module("chatstore", run_name="__main__", alter_sys=True)
