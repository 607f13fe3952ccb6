"""What the steps of the demo share: where they play, what they say, how long they took."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chatstore import ChatStore, open_store
from chatstore.cli import stores
from chatstore.cli.terminal import Terminal, number


@dataclass
class Scene:
    """What the steps of the demo share."""

    term: Terminal
    url: str
    namespace: str
    folder: str
    times: list[tuple[str, str, str]] = field(default_factory=list)
    steps: int = 0

    @property
    def backup(self) -> str:
        """Where the export goes: beside a SQLite file, else into the temporary folder."""
        path = stores.sqlite_path(self.url)
        return backup_of(path) if path else os.path.join(self.folder, "chat.demo.jsonl.gz")

    @property
    def is_file(self) -> bool:
        """Whether the store is a SQLite file, whose promises are known here."""
        return stores.sqlite_path(self.url) is not None

    def open(self) -> ChatStore:
        """The store."""
        return open_store(self.url, namespace=self.namespace)

    def title(self, text: str) -> None:
        """Begin a step."""
        self.steps += 1
        if self.steps > 1:
            self.term.line()
        self.term.line(f"{self.steps}. {text}", "bold")

    def say(self, text: str, good: bool = False) -> None:
        """Say something about the step."""
        self.term.line(f"   {text}", "green" if good else "")

    def took(self, step: str, messages: int, seconds: float) -> str:
        """Note how long something took; in words."""
        rate = f"{number(round(messages / seconds))} messages/s" if messages > 1 else ""
        time_taken = f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.1f} ms"
        self.times.append((step, time_taken, rate))
        return f"{time_taken}, {rate}" if rate else time_taken


def backup_of(path: str) -> str:
    """The export's name, beside the store's."""
    return os.path.splitext(path)[0] + ".demo.jsonl.gz"


class Clock:
    """How long a block took; known at its end."""

    seconds = 0.0


@contextmanager
def clocked() -> Iterator[Clock]:
    """Time a block."""
    clock = Clock()
    began = time.perf_counter()
    yield clock
    clock.seconds = time.perf_counter() - began
