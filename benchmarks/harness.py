"""Timing two things in turns, and saying what came of it."""

import gc
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chatstore import ChatMessage
from chatstore.codec import encode
from chatstore.records import Draft
from chatstore.sql.dialects import statements
from chatstore.sql.models import GAP
from chatstore.sql.statements import Statements

TEXT = "It depends on what you want to keep, and for how long. " * 11
PAYLOAD_BYTES = 680
"""The mean of real payloads."""

SQL: Statements = statements("sqlite")


@dataclass(frozen=True)
class Answer:
    """What a question came to.

    `ours` and `theirs` are in `unit`; `bound` says what was to be reached, in words.
    """

    question: str
    ours: float
    theirs: float
    ratio: float
    unit: str
    bound: str
    ok: bool

    def line(self) -> str:
        """The answer as a row of a table."""
        verdict = "yes" if self.ok else "NO"
        return (
            f"{self.question:58} {self.ours:10.2f} {self.theirs:10.2f} {self.unit:6}"
            f" {self.ratio:7.2f}   {self.bound:22} {verdict}"
        )

    def as_json(self) -> dict[str, Any]:
        """For `benchmarks.report`."""
        return asdict(self)


HEADER = (
    f"{'question':58} {'chatstore':>10} {'limit':>10} {'':6} {'ratio':>7}   {'to reach':22} reached"
)


def message(size: int = PAYLOAD_BYTES) -> ChatMessage:
    """A message whose payload takes about so many bytes."""
    return ChatMessage((TEXT * (size // len(TEXT) + 1))[: max(1, size - 82)])


def draft() -> Draft:
    """The same, encoded."""
    return encode(message(), 1)


def seconds(work: Callable[[], object], times: int) -> float:
    """What one of `times` takes."""
    gc.collect()
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def at_most(
    question: str,
    bound: float,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    *,
    rounds: int = 7,
    unit: str = "us",
) -> Answer:
    """How many times as long as theirs ours takes; both return seconds."""
    pairs = _pairs(ours, theirs, rounds)
    ratio = statistics.median(a / b for a, b in pairs)
    return _answer(question, pairs, ratio, unit, f"at most {bound:g}", ok=ratio <= bound)


def at_least(
    question: str,
    bound: float,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    *,
    rounds: int = 5,
    unit: str = "us",
) -> Answer:
    """How many times faster than theirs ours is; both return seconds."""
    pairs = _pairs(ours, theirs, rounds)
    ratio = statistics.median(b / a for a, b in pairs)
    return _answer(question, pairs, ratio, unit, f"at least {bound:g} faster", ok=ratio >= bound)


def absolute(
    question: str, bound: float, value: float, unit: str, *, more_is_better: bool = False
) -> Answer:
    """A figure for itself."""
    ok = value >= bound if more_is_better else value <= bound
    words = f"at {'least' if more_is_better else 'most'} {bound:g} {unit}"
    return Answer(question, value, bound, value / bound, unit, words, ok)


def _pairs(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int
) -> list[tuple[float, float]]:
    ours(), theirs()  # warm
    pairs = []
    for turn in range(rounds):
        if turn % 2:
            b = theirs()
            pairs.append((ours(), b))
        else:
            pairs.append((ours(), theirs()))
    return pairs


def _answer(
    question: str,
    pairs: list[tuple[float, float]],
    ratio: float,
    unit: str,
    bound: str,
    *,
    ok: bool,
) -> Answer:
    factor = {"us": 1e6, "ms": 1e3, "s": 1.0}[unit]
    ours = statistics.median(a for a, _ in pairs) * factor
    theirs = statistics.median(b for _, b in pairs) * factor
    return Answer(question, ours, theirs, ratio, unit, bound, ok)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for files that are thrown away."""
    path = Path(tempfile.mkdtemp(prefix="chatstore-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def raw(path: Path, durability: str = "full") -> sqlite3.Connection:
    """The bare driver on a copy of a store's file, with the same settings."""
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in (
        "journal_mode=WAL",
        f"synchronous={durability}",
        "cache_size=-16000",
        "foreign_keys=ON",
        "busy_timeout=30000",
    ):
        conn.execute(f"PRAGMA {pragma}").close()
    return conn


def raw_append(conn: sqlite3.Connection, key: str, encoded: Draft, n: int = 1) -> None:
    """What an append is, at the least: the same two statements in a transaction."""
    conn.execute("BEGIN IMMEDIATE")
    raw_statements(conn, key, encoded, n)
    conn.execute("COMMIT")


def raw_statements(conn: sqlite3.Connection, key: str, encoded: Draft, n: int = 1) -> None:
    """… without its transaction."""
    parameters = {
        "namespace": "",
        "key": key,
        "span": n * GAP,
        "n": n,
        "now": time.time_ns() // 1000,
        "ttl": None,
        "expires_at": None,
    }
    row = conn.execute(SQL.grow, parameters).fetchone()
    here, after, serial = row or conn.execute(SQL.allocate, parameters).fetchone()
    first = after - n * GAP
    if n == 1:
        conn.execute(SQL.add_message, (here, first, serial, *encoded))
    else:
        rows = [(here, first + i * GAP, serial - n + i + 1, *encoded) for i in range(n)]
        conn.executemany(SQL.add_message, rows)
