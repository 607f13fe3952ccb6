"""What does it cost to append 10 000 messages to Redis in one atomic call?"""

from collections.abc import Iterator
from itertools import count

from benchmarks.harness import Answer, at_most, draft, message, seconds
from benchmarks.redis_server import bench, show

MANY, CHUNK = 10_000, 1000


def answers() -> Iterator[Answer]:
    with bench() as (_, raw, store):
        said, payload, key = [message()] * MANY, draft().payload, count()

        def chunked() -> None:
            name = f"list{next(key)}"
            for _ in range(MANY // CHUNK):
                pipe = raw.pipeline(transaction=False)
                for _ in range(CHUNK):
                    pipe.rpush(name, payload)
                pipe.execute()

        yield at_most(
            "Redis: 10 000 in one call, beside RPUSH in pipelines of 1 000",
            4,
            lambda: seconds(lambda: store.add_messages(f"u{next(key)}", said), 1),
            lambda: seconds(chunked, 1),
            unit="ms",
        )


if __name__ == "__main__":
    show(answers)
