"""How much memory does a message take in Redis, beside a plain list of payloads?"""

from collections.abc import Iterator

from benchmarks.harness import Answer, absolute, draft, message
from benchmarks.redis_server import bench, show
from chatstore import ChatMessage

MANY = 10_000


def answers() -> Iterator[Answer]:
    with bench() as (_, raw, store):
        raw.rpush("list", *[draft().payload] * MANY)
        plain = raw.memory_usage("list", samples=0)
        store.add_messages("plain", [message()] * MANY)
        said = message().content
        store.add_messages("ids", [ChatMessage(said, id=f"message-{n}") for n in range(MANY)])
        for key, bound, what in (("plain", 1.3, "without ids"), ("ids", 1.6, "with ids")):
            used = raw.memory_usage(f"chatstore::{{{key}}}", samples=0)
            yield absolute(
                f"Redis: memory of a message {what}, beside a list's", bound, used / plain, "times"
            )


if __name__ == "__main__":
    show(answers)
