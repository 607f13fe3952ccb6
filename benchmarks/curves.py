"""The two plots of docs/benchmarks.md: cost against history, throughput against writers.

python -m benchmarks.curves FOLDER      writes history.svg and writers.svg there
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.harness import folder, message, seconds
from benchmarks.writers import connection_each, one_connection, store_tasks, store_threads
from chatstore import open_store

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "chatstore"  # the same data make the same file

LENGTHS = (100, 1_000, 10_000, 100_000, 1_000_000)
PEER_LENGTHS = LENGTHS[:3]  # it reads and decodes all there is
WRITERS = (1, 2, 4, 8, 16, 32, 64)
EACH = 60

Curve = tuple[str, Sequence[int], Sequence[float]]


def history() -> list[Curve]:
    """Microseconds for an append and for the last 20, by what is stored already."""
    from llama_index.core.llms import ChatMessage as LlamaMessage
    from llama_index.storage.chat_store.sqlite import SQLiteChatStore

    said = message()
    append: list[float] = []
    last: list[float] = []
    theirs: list[float] = []
    with folder() as here:
        for length in LENGTHS:
            with open_store(here / f"{length}.db", durability="normal") as store:
                for done in range(0, length, 10_000):
                    store.add_messages("k", [said] * min(10_000, length - done))
                last.append(_best(lambda: store.get_messages("k", last=20), 200))
                append.append(_best(lambda: store.add_message("k", said), 200))
        for length in PEER_LENGTHS:
            peer = SQLiteChatStore.from_uri(f"sqlite:///{here}/peer{length}.db")
            peer.set_messages("k", [LlamaMessage(role="user", content=said.content)] * length)
            theirs.append(_best(partial(peer.get_messages, "k"), 3))
    return [
        ("chatstore: append (NORMAL)", LENGTHS, append),
        ("chatstore: last=20", LENGTHS, last),
        ("LlamaIndex SQLiteChatStore: the last 20", PEER_LENGTHS, theirs),
    ]


def writers() -> list[Curve]:
    """Durable appends in a second, by how many write at once."""
    curves: list[tuple[str, Callable[[Path, int, int], float]]] = [
        ("chatstore: threads", store_threads),
        ("chatstore: tasks", lambda path, n, each: asyncio.run(store_tasks(path, n, each))),
        ("sqlite3: a connection per thread", connection_each),
        ("sqlite3: one connection under a lock", one_connection),
    ]
    found: list[Curve] = []
    with folder() as here:
        for name, run in curves:
            path = here / f"{len(found)}.db"
            open_store(path).close()
            rates = [1 / run(path, count, max(5, EACH // count)) for count in WRITERS]
            found.append((name, WRITERS, rates))
    return found


def _best(work: Callable[[], object], times: int) -> float:
    return min(seconds(work, times) for _ in range(5)) * 1e6


def draw(path: Path, curves: list[Curve], x: str, y: str) -> None:
    """Both axes grow by factors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes: Any = figure.subplots()
    for name, at, values in curves:
        axes.plot(at, values, marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    draw(target / "history.svg", history(), "messages stored already", "microseconds")
    draw(target / "writers.svg", writers(), "writers at once", "durable appends per second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
