"""How long does it take to list 1 000 conversations among 1 000 000 keys of others in Redis?"""

from collections.abc import Iterator

from benchmarks.harness import Answer, absolute, message, seconds
from benchmarks.redis_server import bench, show

OURS, THEIRS = 1000, 1_000_000


def answers() -> Iterator[Answer]:
    with bench() as (_, raw, store):
        for start in range(0, THEIRS, 10_000):
            raw.mset({f"app:session:{number}": "x" for number in range(start, start + 10_000)})
        for number in range(OURS):
            store.add_message(f"user{number}", message())
        for name, call in (
            ("get_keys()", store.get_keys),
            ("get_conversations()", store.get_conversations),
        ):
            assert len(call()) == OURS
            best = min(seconds(call, 1) for _ in range(3))
            yield absolute(f"Redis: {name}, {OURS} among {THEIRS} keys", 2, best, "s")


if __name__ == "__main__":
    show(answers)
