"""What a plan asks of Redis, and what it is made of.

A plan is a generator: it yields requests and is sent their replies, or has their errors thrown
in, so that the blocking face and the awaiting one share all of it but the word `await`.
"""

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from chatstore import errors
from chatstore.redis import rows as layout
from chatstore.redis.keys import Names, recent
from chatstore.redis.lanes import Lanes
from chatstore.redis.scripts import Script, script

T = TypeVar("T")


@dataclass(slots=True)
class Run:
    """Run a script; the reply is its result. The first key says where; `key` is the caller's."""

    script: Script = field(repr=False)
    names: Sequence[str]
    arguments: Sequence[str | int] = field(repr=False)
    key: str
    writes: bool = False


@dataclass(slots=True)
class Ask:
    """Run plain commands, each about the name behind its verb; the reply is a list of replies.

    With a `key`, which is the caller's, a refusal is raised; without, it is in the list.
    """

    commands: Sequence[tuple[str | int, ...]]
    key: str | None = None


@dataclass(slots=True)
class Scan:
    """Find the names of sorted sets that match a pattern; the reply is all of them."""

    pattern: str
    key: ClassVar[None] = None


Request = Run | Ask | Scan
Plan = Generator[Request, Any, T]
"""What comes to a `T`."""

A = TypeVar("A")


def carried_out(plan: Generator[A, Any, T], perform: Callable[[A], Any]) -> T:
    """What a plan comes to; it sees our errors, which it may survive."""
    try:
        request = next(plan)
        while True:
            try:
                reply = perform(request)
            except errors.ChatStoreError as error:
                request = plan.throw(error)
            else:
                request = plan.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        plan.close()


async def carried_out_awaiting(
    plan: Generator[A, Any, T], perform: Callable[[A], Awaitable[Any]]
) -> T:
    """The same, with the word `await`."""
    try:
        request = next(plan)
        while True:
            try:
                reply = await perform(request)
            except errors.ChatStoreError as error:
                request = plan.throw(error)
            else:
                request = plan.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        plan.close()


class Asking:
    """What all plans of one store stand on.

    Args:
        names: Where it keeps its conversations.
        ttl: The ttl of new conversations, in microseconds.
        clustered: Whether two keys may be on two servers.
    """

    def __init__(self, names: Names, ttl: int | None, *, clustered: bool) -> None:
        self.names = names
        self.ttl = ttl
        self.lanes = Lanes()
        self.clustered = clustered
        self._ttl = in_us(ttl)

    def write(
        self,
        which: str,
        key: str,
        *arguments: str | int,
        others: Sequence[str] = (),
        at: str | None = None,
    ) -> Plan[str]:
        """Run a script that writes; its arguments come behind who writes.

        Args:
            which: The script.
            key: The caller's.
            *arguments: The script's.
            others: The names of other keys that it takes.
            at: The name of the key that it writes, unless it is the conversation's.
        """
        name = self.names.conversation(key)
        turn = self.lanes.take(key)
        try:
            reply = yield Run(
                script(which), (at or name, recent(name), *others), (*turn, *arguments), key, True
            )
        finally:
            self.lanes.give_back(key, turn)
        result = layout.text(reply)
        if result in ("conflict", "late"):
            raise refused(result, key)
        return result

    # Writes


def refused(verdict: str, key: str) -> errors.ChatStoreError:
    """The error for a verdict of a script that wrote nothing."""
    if verdict == "conflict":
        return errors.conflict(key)
    return errors.StoreUnavailableError("the call was overtaken by a later one; repeat it")


def in_us(ttl: int | None) -> str:
    """A ttl as scripts take it."""
    return "" if ttl is None else str(ttl)
