"""What does it cost to append one message with a ttl to Redis, encoding included?"""

from collections.abc import Iterator

from benchmarks.harness import Answer, at_most, draft, message, seconds
from benchmarks.redis_server import bench, show

SHORT, LONG = 100, 200_000


def answers() -> Iterator[Answer]:
    with bench() as (_, raw, store):
        said, payload = message(), draft().payload
        yield at_most(
            "Redis: append one with a ttl, beside RPUSH",
            1.7,
            lambda: seconds(lambda: store.add_message("k", said), 1000),
            lambda: seconds(lambda: raw.rpush("list", payload), 1000),
            rounds=11,
        )
        for done in range(0, LONG, 10_000):
            store.add_messages("long", [said] * 10_000)
            assert done < LONG
        store.add_messages("short", [said] * SHORT)
        yield at_most(
            f"Redis: append one, {LONG} messages behind it, beside {SHORT}",
            1.2,
            lambda: seconds(lambda: store.add_message("long", said), 500),
            lambda: seconds(lambda: store.add_message("short", said), 500),
        )


if __name__ == "__main__":
    show(answers)
