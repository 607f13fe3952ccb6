"""What do the newest 20 messages cost, and does it matter how many are behind them?"""

from collections.abc import Iterator

from benchmarks.harness import SQL, Answer, at_most, folder, message, raw, seconds
from chatstore import ChatMessage, open_store


def answers() -> Iterator[Answer]:
    with folder() as here, open_store(here / "chat.db", durability="normal") as store:
        said = message()
        store.add_messages("short", [said] * 100)
        for _ in range(100):
            store.add_messages("long", [said] * 10_000)
        conn = raw(here / "chat.db")
        named = {"namespace": "", "key": "short", "now": 1, "n": 20}

        def bare() -> None:
            rows = conn.execute(SQL.last, named).fetchall()
            rows.reverse()
            for row in rows:
                ChatMessage.model_validate_json(row[5])

        yield at_most(
            "last=20, beside the driver and model_validate_json",
            1.3,
            lambda: seconds(lambda: store.get_messages("short", last=20), 1000),
            lambda: seconds(bare, 1000),
        )
        yield at_most(
            "last=20 of 1 000 000, beside last=20 of 100",
            1.2,
            lambda: seconds(lambda: store.get_messages("long", last=20), 1000),
            lambda: seconds(lambda: store.get_messages("short", last=20), 1000),
        )
        conn.close()
