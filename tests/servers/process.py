"""One server process: its folder, its port, its life and its sudden death."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
LAUNCH = Path(__file__).with_name("launch.py")
PREFIX = "chatstore-test-"


class ServerError(RuntimeError):
    """A server did not do what it was told; its log's end is in the text."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on.

    Below the range from which the kernel takes the ports of outgoing connections: a server that
    is restarted must find its port again, and not a client on it.
    """
    while True:
        port = random.randint(12_000, 31_000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def new_folder() -> Path:
    """An own temporary folder. Its path is short, since a Unix socket's must be below 108 bytes."""
    sweep()
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))


def sweep() -> None:
    """Remove the folders of test runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        found = re.fullmatch(rf"{PREFIX}(\d+)-\w+", folder.name)
        if found and not _alive(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def wait_until(ready: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
    """Look every few milliseconds.

    Raises:
        ServerError: it took longer than `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise ServerError(f"{what}: not within {timeout:g} s")
        time.sleep(0.005)


class Process:
    """A started program, in `folder`, as `account` (uid, gid) if one is given.

    It gets `death` when the thread that started it ends, so start servers in a thread that stays.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        account: tuple[int, int] | None = None,
        env: Mapping[str, str] | None = None,
        death: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.log = folder / "log"
        uid, gid = account or (-1, -1)
        words = [os.getpid(), int(death), uid, gid, *command]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCH), *map(str, words)],
                cwd=folder,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """The server's own process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_ready(self, ready: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
        """Wait until it answers.

        Raises:
            ServerError: it ended instead, or took too long.
        """

        def ready_or_dead() -> bool:
            return not self.running or ready()

        try:
            wait_until(ready_or_dead, what, timeout)
        except ServerError as error:
            self.kill9()
            raise ServerError(f"{error}\n{self.log_tail()}") from None
        if not self.running:
            code = self._process.returncode
            raise ServerError(f"{what}: it ended with {code}\n{self.log_tail()}")

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 10.0) -> None:
        """Ask it to end, and wait. Kill it if it does not."""
        if self.running:
            self._process.send_signal(number)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill9()

    def kill9(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.running:
            self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it accepts connections and answers none."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def log_tail(self, lines: int = 20) -> str:
        """The end of what it printed."""
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class Server:
    """What all servers have in common: a folder, a life, and `with`."""

    def __init__(self) -> None:
        self.folder = new_folder()

    def start(self) -> Self:
        """Start it and return when it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it in order. Its data stay, for `start`."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop it and remove its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
