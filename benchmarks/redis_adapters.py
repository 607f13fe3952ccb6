"""What does an adapter cost over Redis, beside the same append without it?"""

from collections.abc import Iterator

from benchmarks.adapters import appends
from benchmarks.harness import Answer
from benchmarks.redis_server import bench, show


def answers() -> Iterator[Answer]:
    with bench() as (url, _, _):
        yield from appends(url, "Redis", ttl=300)


if __name__ == "__main__":
    show(answers)
