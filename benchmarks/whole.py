"""What does a whole conversation cost to read?"""

from collections.abc import Iterator

from benchmarks.harness import SQL, Answer, at_most, folder, message, raw, seconds
from chatstore import ChatMessage, open_store


def answers() -> Iterator[Answer]:
    for length in (10_000, 100_000):
        yield _whole(length)


def _whole(length: int) -> Answer:
    with folder() as here, open_store(here / "chat.db", durability="normal") as store:
        said = message()
        for _ in range(length // 10_000):
            store.add_messages("k", [said] * 10_000)
        conn = raw(here / "chat.db")

        def bare() -> list[ChatMessage]:
            rows = conn.execute(SQL.all, {"namespace": "", "key": "k", "now": 1}).fetchall()
            return [ChatMessage.model_validate_json(row[5]) for row in rows]

        answer = at_most(
            f"all of {length}, beside the driver and model_validate_json",
            1.0,
            lambda: seconds(lambda: store.get_messages("k"), 1),
            lambda: seconds(bare, 1),
            unit="ms",
        )
        conn.close()
        return answer
