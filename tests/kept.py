"""PostgreSQL connections that outlive the store that opened them, as sessions of a pooler do.

A connection is a process of the server's, which begins with empty caches: making one and warming
it takes several times longer than what most tests of the conformance suite do with it. That each
store makes and closes its own is tested elsewhere, in tests/postgres/ and tests/sql/.
"""

from collections import defaultdict
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from typing_extensions import override


class _Connection(psycopg.Connection[Any]):
    """Goes back to where it was taken from when it is closed, and no second time."""

    kept: "list[_Connection] | None" = None
    lent = False

    @override
    def close(self) -> None:
        lent, self.lent = self.lent, False
        idle = self.pgconn.transaction_status == TransactionStatus.IDLE
        # A migration's is not as it was: it has been told to begin transactions by itself.
        if not (idle and self.autocommit) or self.kept is None:
            super().close()
        elif lent:
            self.kept.append(self)


class Keeper:
    """Connects as `psycopg.connect` does, but hands out again what was closed while idle."""

    def __init__(self) -> None:
        self._kept: defaultdict[str, list[_Connection]] = defaultdict(list)

    def connect(self, conninfo: str = "", **options: Any) -> psycopg.Connection[Any]:
        """A connection of these options, which nobody else has."""
        kept = self._kept[repr((conninfo, sorted(options.items())))]
        conn = kept.pop() if kept else _Connection.connect(conninfo, **options)
        conn.kept, conn.lent = kept, True
        return conn

    def close(self) -> None:
        """Close those that nobody has."""
        for kept in self._kept.values():
            for conn in kept:
                conn.kept = None
                conn.close()
            kept.clear()
