"""What does it cost to append one message to PostgreSQL, encoding included?

The limit is the driver with the same statement and a payload that is encoded already. Once as a
server is installed, where the flush to the disk is most of it; once with `synchronous_commit=off`,
where only the work is left.
"""

import time
from collections.abc import Iterator

from benchmarks.harness import Answer, at_most, draft, message, seconds
from benchmarks.postgres_server import bench, show
from chatstore.sql.models import GAP
from chatstore.sql.postgres_statements import PostgresStatements

SHORT, LONG = 100, 1_000_000


def answers() -> Iterator[Answer]:
    statement = PostgresStatements("postgresql", None).append("any", many=False)
    said, encoded = message(), draft()
    fixed = {"patience": "30000", "namespace": "", "span": GAP, "n": 1, "ttl": None}
    fixed |= {"expires_at": None, **encoded._asdict()}
    for commit, times in (("on", 150), ("off", 600)):
        with bench(synchronous_commit=commit) as (_, conn, store):

            def bare() -> None:
                now = time.time_ns() // 1000
                conn.execute(statement, {**fixed, "key": "raw", "now": now}).fetchone()

            yield at_most(
                f"PostgreSQL: append one, synchronous_commit={commit}",
                1.6,
                lambda times=times: seconds(lambda: store.add_message("k", said), times),
                lambda times=times: seconds(bare, times),
                rounds=9,
            )
            if commit == "off":
                for done in range(0, LONG, 10_000):
                    store.add_messages("long", [said] * 10_000)
                    assert done < LONG
                store.add_messages("short", [said] * SHORT)
                yield at_most(
                    f"PostgreSQL: append one, {LONG} messages behind it, beside {SHORT}",
                    1.2,
                    lambda: seconds(lambda: store.add_message("long", said), 300),
                    lambda: seconds(lambda: store.add_message("short", said), 300),
                    rounds=9,
                )


if __name__ == "__main__":
    show(answers)
