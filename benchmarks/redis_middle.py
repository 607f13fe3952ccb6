"""What does it cost to insert and to delete in the middle of 100 000 messages in Redis?"""

import random
from collections.abc import Iterator

from benchmarks.harness import Answer, absolute, message, seconds
from benchmarks.redis_server import bench, show

MANY, EDITS = 100_000, 10_000


def answers() -> Iterator[Answer]:
    with bench() as (_, _raw, store):
        said = message()
        for _ in range(0, MANY, 10_000):
            store.add_messages("k", [said] * 10_000)
        for edited in (False, True):
            if edited:
                rng = random.Random(1)
                for _ in range(EDITS // 2):
                    store.add_message("k", said, rng.randrange(MANY))
                    store.delete_message("k", rng.randrange(MANY))
            when = f"Redis, {MANY} messages" + (f", {EDITS} edits" if edited else "")
            for name, call in (
                ("insert in the middle", lambda: store.add_message("k", said, MANY // 2)),
                ("delete in the middle", lambda: store.delete_message("k", MANY // 2)),
                ("get one in the middle", lambda: store.get_message("k", MANY // 2)),
            ):
                best = min(seconds(call, 300) for _ in range(3))
                yield absolute(f"{when}: {name}", 0.5, best * 1000, "ms")


if __name__ == "__main__":
    show(answers)
