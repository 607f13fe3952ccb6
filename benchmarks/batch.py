"""What do 10 000 messages in one call cost?"""

from collections.abc import Iterator

from benchmarks.harness import Answer, at_most, draft, folder, message, raw, raw_append, seconds
from chatstore import open_store

SIZE = 10_000


def answers() -> Iterator[Answer]:
    with folder() as here:
        for name in ("ours.db", "raw.db"):
            open_store(here / name).close()
        batch, encoded = [message()] * SIZE, draft()
        with open_store(here / "ours.db") as store:
            conn = raw(here / "raw.db")
            yield at_most(
                "10 000 in one call, beside executemany of encoded rows",
                1.7,
                lambda: seconds(lambda: store.add_messages("k", batch), 1),
                lambda: seconds(lambda: raw_append(conn, "k", encoded, SIZE), 1),
                unit="ms",
            )
            conn.close()
