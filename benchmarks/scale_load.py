"""Fills a database for `benchmarks.scale`, by the library's own import: not a question itself.

A part of a thousand conversations is made in memory as a `.jsonl` file and imported, which is one
transaction; on PostgreSQL, two processes share the parts. So memory is bounded, however many there
are.
"""

import hashlib
import io
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from typing import NamedTuple

from benchmarks.harness import TEXT
from benchmarks.scale_place import Place
from chatstore import SQLChatStore, clock
from chatstore.transfer.lines import FIXED, footer
from chatstore.transfer.message import when

PART = 1000
SIZES = {"user": 200, "assistant": 1160}
"""Bytes of a payload, in turns: 680 on the average, which is the mean of real ones."""

_SCATTER = 7_368_787  # a prime, so that no two numbers meet
_SECOND = 1_000_000
_HEADER = FIXED.replace(b"}", b',"snapshot":true,"exported_at":"","source":"benchmark"}')


class Loaded(NamedTuple):
    """What loading took. `peak_bytes`: the sum of what each process held at its most."""

    seconds: float
    peak_bytes: int


def key(number: int) -> str:
    """The key of a conversation; they sort as the numbers do."""
    return f"user{number:08}"


def age(number: int, of: int) -> int:
    """The place of a conversation by last activity, 0 being the latest."""
    return number * _SCATTER % of


def load(place: Place, conversations: int, messages: int) -> Loaded:
    """Fill a database, with a word on standard error every half minute."""
    start = shown = time.perf_counter()
    peaks: dict[int, int] = {}
    context = get_context("spawn")
    with ProcessPoolExecutor(place.workers, context, _begin, (place,)) as pool:
        firsts = range(0, conversations, PART)
        parts = pool.map(_import, firsts, repeat(conversations), repeat(messages))
        for done, (worker, peak) in enumerate(parts, start=1):
            peaks[worker] = peak
            if time.perf_counter() - shown > 30:
                shown = time.perf_counter()
                rate = done * PART * messages / (shown - start)
                print(f"{done * PART:,} of {conversations:,}: {rate:,.0f}/s", file=sys.stderr)
    return Loaded(time.perf_counter() - start, sum(peaks.values()) + _peak())


def part(numbers: range, of: int, messages: int, *, expired: bool = False) -> io.BytesIO:
    """Conversations as a `.jsonl` file."""
    now = clock.now()
    said = _said(messages, when(now))
    body = "".join(
        f"{_told(number, now - (age(number, of) + 1) * _SECOND, expired)}{said}"
        for number in numbers
    ).encode()
    digest = hashlib.sha256(FIXED + body).hexdigest()
    end = footer(len(numbers), len(numbers) * messages, digest).encode()
    return io.BytesIO(_HEADER + body + end)


def _told(number: int, updated: int, expired: bool) -> str:
    then = when(updated)
    ttl = f',"ttl":1,"expires_at":"{then}"' if expired else ""
    times = f'"created_at":"{then}","updated_at":"{then}"{ttl}'
    return f'{{"conversation":"{key(number)}",{times}}}\n'


def _said(messages: int, then: str) -> str:
    """The lines of a conversation's messages, the same in each: to make them takes no time."""
    lines = [
        f'{{"created_at":"{then}","payload":{{"role":"{role}","additional_kwargs":{{}},'
        f'"blocks":[{{"block_type":"text","text":"{(TEXT * 3)[: size - 82]}"}}]}}}}\n'
        for role, size in SIZES.items()
    ]
    return "".join(lines[place % 2] for place in range(messages))


_store: SQLChatStore


def _begin(place: Place) -> None:
    global _store  # noqa: PLW0603
    _store = place.open()


def _import(first: int, of: int, messages: int) -> tuple[int, int]:
    numbers = range(first, min(first + PART, of))
    _store.import_json(part(numbers, of, messages), format="jsonl")
    return os.getpid(), _peak()


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
