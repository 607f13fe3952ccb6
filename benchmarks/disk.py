"""How much disk does a store take, beside its payloads?"""

import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Answer, absolute, folder, message
from chatstore import open_store
from chatstore.codec import encode


def answers() -> Iterator[Answer]:
    sizes = random.Random(1)
    spread = [min(20_000, int(sizes.lognormvariate(6.17, 0.85))) + 90 for _ in range(40_000)]
    yield _disk("turn by turn in one conversation after another", spread, 1)
    yield _disk("turn by turn in 300 conversations at once", spread, 300)


def _disk(how: str, spread: list[int], conversations: int) -> Answer:
    with folder() as here:
        path: Path = here / "chat.db"
        payloads = 0
        with open_store(path, durability="normal") as store:
            for i, size in enumerate(spread):
                key = i % conversations if conversations > 1 else i // 200
                said = message(size)
                payloads += len(encode(said, 1).payload)
                store.add_message(f"user{key}", said)
        mean = payloads / len(spread)
        question = f"disk over payload, {how}"
        return absolute(question, 1.2, path.stat().st_size / payloads, f"x{mean:.0f}B")
