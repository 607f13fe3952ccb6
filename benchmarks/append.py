"""What does it cost to append one message to a SQLite file, encoding included?"""

from collections.abc import Iterator

from benchmarks.harness import Answer, at_most, draft, folder, message, raw, raw_append, seconds
from chatstore import open_store
from chatstore.url import Durability

SHORT, LONG = 100, 1_000_000


def answers() -> Iterator[Answer]:
    yield from _beside_the_driver("normal", 1.6)
    yield from _beside_the_driver("full", 1.15)
    yield _flat()


def _beside_the_driver(durability: Durability, bound: float) -> Iterator[Answer]:
    with folder() as here:
        for name in ("ours.db", "raw.db"):
            open_store(here / name).close()
        said, encoded = message(), draft()
        with open_store(here / "ours.db", durability=durability) as store:
            conn = raw(here / "raw.db", durability)
            yield at_most(
                f"append one, {durability}",
                bound,
                lambda: seconds(lambda: store.add_message("k", said), 1000),
                lambda: seconds(lambda: raw_append(conn, "k", encoded), 1000),
            )
            conn.close()


def _flat() -> Answer:
    with folder() as here, open_store(here / "chat.db", durability="normal") as store:
        said = message()
        for key, length in (("short", SHORT), ("long", LONG)):
            for done in range(0, length, 10_000):
                store.add_messages(key, [said] * min(10_000, length - done))
        return at_most(
            "append one, 1 000 000 messages behind it, beside 100",
            1.2,
            lambda: seconds(lambda: store.add_message("long", said), 500),
            lambda: seconds(lambda: store.add_message("short", said), 500),
        )
