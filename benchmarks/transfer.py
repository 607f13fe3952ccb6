"""How fast do 258 145 real messages go out of a store and in again?

The messages are those of the package chitchat-dataset.
"""

import time
from collections.abc import Iterator

from benchmarks.harness import Answer, absolute, folder
from chatstore import open_store
from chatstore.importers import chitchat, import_file


def answers() -> Iterator[Answer]:
    with folder() as here, open_store(here / "chat.db") as store:
        start = time.perf_counter()
        read = import_file(store, chitchat.find() or "dataset.json", "chitchat")
        yield _rate("import the dataset's own file", read.messages, start)
        for name in ("chat.jsonl", "chat.jsonl.gz", "chat.json"):
            start = time.perf_counter()
            report = store.export_json(here / name)
            yield _rate(f"export {name}", report.messages, start)
            with open_store(here / f"{name}.db") as other:
                start = time.perf_counter()
                report = other.import_json(here / name)
                yield _rate(f"import {name}", report.messages, start)


def _rate(question: str, messages: int, start: float) -> Answer:
    rate = messages / (time.perf_counter() - start)
    return absolute(question, 50_000, rate, "msg/s", more_is_better=True)
