"""What does an edit in the middle of 100 000 messages cost, also after many others?"""

import random
import statistics
import time
from collections.abc import Callable, Iterator

from benchmarks.harness import Answer, absolute, folder, message
from chatstore import ChatStore, open_store

LENGTH, EDITS = 100_000, 10_000


def answers() -> Iterator[Answer]:
    with folder() as here, open_store(here / "chat.db", durability="normal") as store:
        said = message()
        for _ in range(LENGTH // 10_000):
            store.add_messages("k", [said] * 10_000)
        yield from _edits(store, "untouched")
        where = random.Random(1)
        for _ in range(EDITS // 2):
            store.add_message("k", said, where.randrange(LENGTH))
            store.delete_message("k", where.randrange(LENGTH))
        yield from _edits(store, f"after {EDITS} random edits")


def _edits(store: ChatStore, state: str) -> Iterator[Answer]:
    said, middle = message(), LENGTH // 2
    for name, bound, work in (
        ("insert", 0.5, lambda i: store.add_message("k", said, middle + i)),
        ("delete", 0.5, lambda i: store.delete_message("k", middle + 50 * i)),
        ("get", 0.2, lambda i: store.get_message("k", middle + i)),
    ):
        took = _median_ms(work)
        yield absolute(f"{name} at the middle of 100 000, {state}", bound, took, "ms")


def _median_ms(work: Callable[[int], object]) -> float:
    times = []
    for i in range(300):
        start = time.perf_counter()
        work(i)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000
