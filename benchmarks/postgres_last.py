"""What do the newest 20 messages cost on PostgreSQL, and does it matter how many are behind them?

The limit is the driver with the same statement, and `ChatMessage.model_validate_json` on each row.
"""

from collections.abc import Iterator

from benchmarks.harness import Answer, at_most, message, seconds
from benchmarks.postgres_server import bench, show
from chatstore import ChatMessage
from chatstore.sql.dialects import statements

SHORT, LONG = 100, 1_000_000


def answers() -> Iterator[Answer]:
    said, sql = message(), statements("postgresql").last
    with bench(synchronous_commit="off") as (_, conn, store):
        store.add_messages("short", [said] * SHORT)
        for done in range(0, LONG, 10_000):
            store.add_messages("long", [said] * 10_000)
            assert done < LONG
        conn.execute("VACUUM ANALYZE")
        named = {"namespace": "", "key": "short", "now": 1, "n": 20}

        def bare() -> None:
            rows = conn.execute(sql, named).fetchall()
            rows.reverse()
            for row in rows:
                ChatMessage.model_validate_json(row[5])

        yield at_most(
            "PostgreSQL: last=20, beside the driver and model_validate_json",
            1.5,
            lambda: seconds(lambda: store.get_messages("short", last=20), 300),
            lambda: seconds(bare, 300),
            rounds=9,
        )
        yield at_most(
            f"PostgreSQL: last=20 of {LONG}, beside last=20 of {SHORT}",
            1.2,
            lambda: seconds(lambda: store.get_messages("long", last=20), 300),
            lambda: seconds(lambda: store.get_messages("short", last=20), 300),
            rounds=9,
        )


if __name__ == "__main__":
    show(answers)
