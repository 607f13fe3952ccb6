"""All conversations for an export, each from one moment, and few of their messages in memory."""

from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import IO, Protocol, TypeVar

from chatstore import operations as ops
from chatstore.records import Conversation, Row
from chatstore.redis import rows as layout
from chatstore.redis.asking import Plan
from chatstore.redis.plans import Plans
from chatstore.redis.reads import Page
from chatstore.transfer import Snapshot, accompanied, alone

T = TypeVar("T")

TRIES = 5
"""How often a conversation that changes between two pages is read in pages."""


class CarryOut(Protocol):
    """Carries out a plan, and blocks."""

    def __call__(self, plan: Plan[T], /) -> T:
        """What the plan results in."""


def snapshot(plans: Plans, carry_out: CarryOut) -> Snapshot:
    """All conversations by key; each is from one moment, and not all from the same one.

    Redis cannot hold still for several keys while others write, nor for several pages of one.
    """
    check_open(plans, carry_out)
    keys = carry_out(plans.keys())
    heads = carry_out(plans.heads(keys))
    messages = sum(head.known.held for head in heads)
    # Those that have become conversations by now may be among the keys already, or not.
    named = {head.key for head in heads}.union(carry_out(plans.alone()))

    def conversations() -> Iterator[tuple[Conversation, Iterable[Row]]]:
        for key in sorted(named):
            told = _from_one_moment(plans, carry_out, key)
            if told is not None:
                yield told
                continue
            found = carry_out(plans.state_alone(key))
            if found is not None:  # else it went meanwhile
                state, parted = found
                ttl = int(state.ttl) if state.ttl else None
                yield alone(key, state.draft(parted), ttl, state.expires_at), ()

    return Snapshot(messages, False, conversations())


def check_open(plans: Plans, carry_out: CarryOut) -> None:
    """Raise if the store is closed; the server is asked nothing."""
    carry_out(plans.plan(ops.PurgeExpired()))


def _from_one_moment(
    plans: Plans, carry_out: CarryOut, key: str
) -> tuple[Conversation, Iterable[Row]] | None:
    """A conversation, whose rows come out of a file where they are more than a page."""
    for _ in range(TRIES):
        page = carry_out(plans.page(key, 0))
        if page is None:
            return None
        if len(page.members) == page.all:
            return _told(plans, key, page), page.rows()
        told = _told(plans, key, page)
        file = _kept(plans, carry_out, key, page)
        if file is not None:
            return told, _rows(file, page.header.incarnation)
    # It changes all the time: in one command it does not.
    whole = carry_out(plans.whole(key))
    if whole is None:
        return None
    page = Page(whole.header, 0, whole.metadata, *whole.state, (), ())
    return _told(plans, key, page), whole.rows


def _told(plans: Plans, key: str, page: Page) -> Conversation:
    told = page.header.conversation(key, page.metadata)
    if not page.state:
        return told
    state = plans.held_state(key, page.state)
    return accompanied(told, state.draft(page.parted), changed=state.seen != told.revision)


def _kept(plans: Plans, carry_out: CarryOut, key: str, page: Page) -> IO[str] | None:
    """All pages, in a file that nobody else sees; `None`: it changed between two of them."""
    file = TemporaryFile(  # noqa: SIM115
        "w+", encoding="utf-8", errors="surrogateescape", newline="\n"
    )
    try:
        begin, number = page.header, 0
        while page.members:
            file.writelines(
                f"{score}\n{member}\n"
                for member, score in zip(page.members, page.scores)
                if "\n" not in member  # no message has a line break
            )
            number += len(page.members)
            if number == page.all:
                break
            found = carry_out(plans.page(key, number))
            if found is None or found.header != begin:
                file.close()
                return None
            page = found
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _rows(file: IO[str], incarnation: str) -> Iterator[Row]:
    with file:
        for score in file:
            yield from layout.known_rows(incarnation, (next(file)[:-1],), (score,))
