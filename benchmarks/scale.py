"""Does a call cost at 10 000 000 messages what it costs at a tenth of them?

    python -m benchmarks.scale                                 10 000 000 in 1 000 000 conversations
    python -m benchmarks.scale --conversations 10000           a hundredth of that
    python -m benchmarks.scale --url sqlite:///big.db          the same on SQLite
    python -m benchmarks.scale --url postgresql://…/bench      on a server of yours

Two databases are filled, one with a tenth of the conversations, and are asked the same in turns.
Each call meets a conversation by chance, any of all that there are, so that no cache is kept warm
by the question. Without `--url` a PostgreSQL server is started, which flushes to its disk. All that
was made is removed: the schemas `scale_tenth` and `scale_full`, or the files `big.db.tenth` and
`big.db.full`. They must not be there before.
"""

import argparse
import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Literal, NamedTuple

from benchmarks.harness import Answer, message
from benchmarks.scale_load import SIZES, age, key, load, part
from benchmarks.scale_place import Place, made, server
from chatstore import Conversation, SQLChatStore
from chatstore.sql.upkeep import PURGE_BATCH

BOUND = 1.2
Order = Literal["updated", "key"]
ORDERS: tuple[Order, ...] = ("updated", "key")
PAGE = 50


class Side(NamedTuple):
    """A database that was filled, and who draws from it."""

    store: SQLChatStore
    conversations: int
    messages: int
    chance: random.Random
    late: dict[Order, Conversation | None]
    """What stands nine tenths down the list in each order."""

    @property
    def key(self) -> str:
        """One of its conversations."""
        return key(self.chance.randrange(self.conversations))


def main() -> int:
    """Fill, ask, print, remove."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--url", help="a database; without it, a PostgreSQL server is started")
    parser.add_argument("--conversations", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=10, help="in each of them")
    parser.add_argument("--times", type=int, default=2000, help="an append is asked")
    chosen = parser.parse_args()
    messages = chosen.messages
    with ExitStack() as stack:
        url = chosen.url or stack.enter_context(server())
        sides = []
        for name, conversations in (
            ("tenth", chosen.conversations // 10),
            ("full", chosen.conversations),
        ):
            place = stack.enter_context(made(url, name))
            _fill(place, name, conversations, messages)
            store = stack.enter_context(place.open())
            sides.append(_side(store, conversations, messages))
        gc.disable()  # what is in memory does not grow
        print(f"\n{'question':58} {'full':>10} {'a tenth':>10} {'':6} {'ratio':>7}")
        for answer in answers(sides[0], sides[1], chosen.times):
            print(answer.line(), flush=True)
    return 0


def answers(tenth: Side, full: Side, times: int) -> Iterator[Answer]:
    """What each call costs at full size, beside what it costs at a tenth."""

    def ask(question: str, call: Callable[[Side], object], part: float = 1) -> Answer:
        return compare(question, lambda: _timed(call, full), lambda: _timed(call, tenth), part)

    def compare(
        question: str, ours: Callable[[], float], theirs: Callable[[], float], part: float = 1
    ) -> Answer:
        # Call by call in turns, and the median of each: a busy machine disturbs both alike.
        pairs = [(ours(), theirs()) for _ in range(max(3, round(times * part)))]
        a, b = (statistics.median(costs) * 1e6 for costs in zip(*pairs))
        return Answer(question, a, b, a / b, "us", f"at most {BOUND:g}", a <= BOUND * b)

    new = message()
    yield ask("append", lambda it: it.store.add_message(it.key, new))
    yield ask("last=20", lambda it: it.store.get_messages(it.key, last=20))
    yield ask("get_conversation", lambda it: it.store.get_conversation(it.key))
    for order in ORDERS:
        pages = partial(_page, order=order)
        yield ask(f"first page of {PAGE} conversations by {order}", pages, 0.25)
        pages = partial(pages, late=True)
        yield ask(f"late page of {PAGE} conversations by {order}", pages, 0.25)
    yield ask(
        f"page of {PAGE} keys, anywhere",
        lambda it: it.store.get_keys(limit=PAGE, after=it.key),
        0.25,
    )
    freeing = f"purge of {PURGE_BATCH} expired conversations"
    yield compare(freeing, lambda: _purge(full), lambda: _purge(tenth), 0.02)


def _page(side: Side, order: Order, *, late: bool = False) -> None:
    after = side.late[order] if late else None
    assert side.store.get_conversations(order=order, after=after, limit=PAGE)


def _timed(call: Callable[[Side], object], side: Side) -> float:
    start = time.perf_counter()
    call(side)
    return time.perf_counter() - start


def _purge(side: Side) -> float:
    """Seconds that a batch takes. What is freed is stored before, above all other keys."""
    numbers = range(side.conversations, side.conversations + PURGE_BATCH)
    expired = part(numbers, side.conversations, side.messages, expired=True)
    side.store.import_json(expired, format="jsonl")
    start = time.perf_counter()
    freed = side.store.purge_expired()
    took = time.perf_counter() - start
    assert freed == PURGE_BATCH, freed
    return took


def _side(store: SQLChatStore, conversations: int, messages: int) -> Side:
    down = conversations * 9 // 10
    late: dict[Order, int] = {
        "updated": next(n for n in range(conversations) if age(n, conversations) == down),
        "key": down,
    }
    found = {order: store.get_conversation(key(number)) for order, number in late.items()}
    return Side(store, conversations, messages, random.Random(1), found)


def _fill(place: Place, name: str, conversations: int, messages: int) -> None:
    loaded = load(place, conversations, messages)
    tidied, size = place.tidy(), place.size()
    total = conversations * messages
    payloads = total * sum(SIZES.values()) / len(SIZES)
    print(
        f"{name}: {total:,} messages in {conversations:,} conversations, loaded in "
        f"{loaded.seconds:.0f} s ({total / loaded.seconds:,.0f}/s), tidied in {tidied:.0f} s; "
        f"{place.workers} loading and 1 other process held {loaded.peak_bytes / 2**20:.0f} MiB; "
        f"{size / 2**30:.2f} GiB on disk, {size / payloads:.2f} times the payloads",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
