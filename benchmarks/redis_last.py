"""What does it cost to read the newest 20 messages from Redis, decoded?"""

from collections.abc import Iterator

from benchmarks.harness import Answer, at_most, draft, message, seconds
from benchmarks.redis_server import bench, show

SHORT, LONG = 100, 200_000


def answers() -> Iterator[Answer]:
    with bench() as (_, raw, store):
        said, payload = message(), draft().payload
        raw.rpush("list", *[payload] * 100)
        store.add_messages("short", [said] * SHORT)
        for _ in range(0, LONG, 10_000):
            store.add_messages("long", [said] * 10_000)
        yield at_most(
            "Redis: last=20, beside LRANGE with nothing decoded",
            3.5,
            lambda: seconds(lambda: store.get_messages("short", last=20), 500),
            lambda: seconds(lambda: raw.lrange("list", -20, -1), 500),
            rounds=11,
        )
        yield at_most(
            f"Redis: last=20 of {LONG}, beside of {SHORT}",
            1.2,
            lambda: seconds(lambda: store.get_messages("long", last=20), 500),
            lambda: seconds(lambda: store.get_messages("short", last=20), 500),
        )


if __name__ == "__main__":
    show(answers)
