"""A process that writes: it carries out histories, one thread for each, and acknowledges each step.

An acknowledgement is one byte on a descriptor: the number of the history.
"""

import os
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from chatstore import open_store
from chatstore.store import ChatStore
from tests.sqlite.history import Step, history

READY = b"r"


def keys_of(number: int) -> list[str]:
    """The keys of a history, which no other one touches."""
    return [f"{number}-a", f"{number}-b"]


def write(
    path: Path,
    acks: int,
    seeds: list[int],
    count: int,
    *,
    edits: bool = True,
    sittings: int = 1,
    **options: Any,
) -> None:
    """Carry out a history for each seed, in threads if there are several.

    In several sittings: between two of them the store is closed, which empties and removes the log.
    """
    histories = [
        history(keys_of(number), seed, count, edits=edits) for number, seed in enumerate(seeds)
    ]
    for sitting in range(sittings):
        with open_store(path, **options) as store:
            if not sitting:
                os.write(acks, READY)
            _work(store, acks, [islice(steps, count // sittings) for steps in histories])


def _work(store: ChatStore, acks: int, histories: list[Iterator[Step]]) -> None:
    threads = [
        threading.Thread(target=_carry_out, args=(store, acks, number, steps))
        for number, steps in enumerate(histories[1:], 1)
    ]
    for thread in threads:
        thread.start()
    _carry_out(store, acks, 0, histories[0])
    for thread in threads:
        thread.join()


def _carry_out(store: ChatStore, acks: int, number: int, steps: Iterator[Step]) -> None:
    ack = b"%d" % number
    for step in steps:
        step.apply(store)
        os.write(acks, ack)


def main() -> None:
    """From the command line: path, seeds, count, durability or "off", pages between checkpoints."""
    path, seeds, count, mode, pages = sys.argv[1:]
    _set_up_connections(mode, int(pages))
    durability = "full" if mode == "off" else mode
    numbers = [int(seed) for seed in seeds.split(",")]
    write(Path(path), 1, numbers, int(count), sittings=2, durability=durability)


def _set_up_connections(mode: str, pages: int) -> None:
    """Checkpoints are where it is interesting; without this they come every 1 000 pages."""
    from chatstore.sql.engine.sqlite.connector import Connector

    original = Connector.connect

    def connect(self: Connector, role: Any) -> Any:
        conn = original(self, role)
        conn.execute(f"PRAGMA wal_autocheckpoint={pages}").close()
        if mode == "off":
            conn.execute("PRAGMA synchronous=OFF").close()
        return conn

    Connector.connect = connect  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
