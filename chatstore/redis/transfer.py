"""Backup and restore: conversations out of the store, and into it as they were elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from typing import NamedTuple, Protocol, TypeVar

from chatstore import arguments, clock, codec, errors
from chatstore import operations as ops
from chatstore.records import Conversation, Draft, Row
from chatstore.redis.asking import Plan
from chatstore.redis.plans import BY_TTL, Plans
from chatstore.redis.writes import distinct
from chatstore.transfer import NEW, OnConflict, Snapshot, Stream, TransferReport

T = TypeVar("T")


class CarryOut(Protocol):
    """Carries out a plan, and blocks."""

    def __call__(self, plan: Plan[T], /) -> T:
        """What the plan results in."""


def snapshot(plans: Plans, carry_out: CarryOut) -> Snapshot:
    """All conversations by key; each is from one moment, and not all from the same one.

    Redis cannot hold still for several keys while others write.
    """
    _check_open(plans, carry_out)
    keys = carry_out(plans.keys())
    heads = carry_out(plans.heads(keys))
    messages = sum(head.known.held for head in heads)

    def conversations() -> Iterator[tuple[Conversation, Iterable[Row]]]:
        for key, _, _ in heads:
            whole = carry_out(plans.whole(key))
            if whole is not None:  # else it went meanwhile
                yield whole.header.conversation(key, whole.metadata), whole.rows

    return Snapshot(messages, False, conversations())


def restore(
    plans: Plans, carry_out: CarryOut, stream: Callable[[], Stream], on_conflict: OnConflict
) -> TransferReport:
    """Store conversations: all are looked at first, then staged, and then put in their places.

    What is damaged or in conflict shows before anything changes. What fails later, for want of
    memory, say, leaves staged copies, which are removed; a key that somebody else took meanwhile
    makes the others go again.
    """
    _check_open(plans, carry_out)
    restoring = _Restore(plans, carry_out, on_conflict)
    with closing(stream()) as conversations:
        for conversation, drafts in conversations:
            restoring.look(conversation, list(drafts))
    try:
        with closing(stream()) as conversations:
            for conversation, drafts in conversations:
                restoring.stage(conversation, list(drafts))
        restoring.place()
        if restoring.behind:
            # Behind what exists nothing can be staged: these are the last, one step each.
            with closing(stream()) as conversations:
                for conversation, drafts in conversations:
                    restoring.append(conversation.key, list(drafts))
    except BaseException:
        restoring.undo()
        raise
    return TransferReport(restoring.stored, restoring.messages, restoring.skipped)


def _check_open(plans: Plans, carry_out: CarryOut) -> None:
    carry_out(plans.plan(ops.PurgeExpired()))  # which asks nothing of the server


def _expires(conversation: Conversation) -> int | None:
    """When it will be gone, in microseconds; `BY_TTL` if the file tells nothing of it."""
    if conversation.revision == NEW:
        return BY_TTL
    expires_at = conversation.expires_at
    return None if expires_at is None else clock.read(expires_at)


class _Staged(NamedTuple):
    conversation: Conversation
    token: str


class _Restore:
    def __init__(self, plans: Plans, carry_out: CarryOut, on_conflict: OnConflict) -> None:
        self._plans = plans
        self._carry_out = carry_out
        self._on_conflict = on_conflict
        self._staged: list[_Staged] = []
        self._placed = 0
        self.behind: set[str] = set()
        self.stored = self.messages = self.skipped = 0

    def look(self, conversation: Conversation, drafts: list[Draft]) -> None:
        """Raise what would go wrong."""
        key = arguments.check_key(conversation.key)
        distinct(key, drafts)
        codec.encode_metadata(conversation.metadata)
        arguments.ttl_in_us(conversation.ttl)
        exists = self._exists(key)
        if exists and self._on_conflict == "error":
            raise errors.occupied(key)
        if exists and self._on_conflict == "append" and drafts:
            # Ids are compared before the revision is, and that fits none: nothing is written.
            with suppress(errors.ConflictError):
                self._carry_out(self._plans.append(ops.Append(key, drafts, "")))

    def stage(self, conversation: Conversation, drafts: list[Draft]) -> None:
        """Build a conversation aside, unless it has another way to go."""
        key = conversation.key
        exists = self._on_conflict in ("skip", "append") and self._exists(key)
        if exists and self._on_conflict == "skip":
            self.skipped += 1
        elif exists:
            self.behind.add(key)
        else:
            self.stored += 1
            drafts = list(distinct(key, drafts)[0])
            self.messages += len(drafts)
            if drafts:  # without a message there is no conversation
                ttl = arguments.ttl_in_us(conversation.ttl)
                if conversation.revision == NEW:
                    ttl = self._plans.ttl
                token = self._carry_out(self._plans.stage(key, drafts, ttl))
                self._staged.append(_Staged(conversation, token))

    def place(self) -> None:
        """Put what was staged in its place."""
        absent = self._on_conflict != "replace"
        for conversation, token in self._staged:
            done = self._carry_out(
                self._plans.adopt(
                    conversation.key,
                    token,
                    codec.encode_metadata(conversation.metadata),
                    absent=absent,
                    times=(
                        clock.read(conversation.created_at),
                        clock.read(conversation.updated_at),
                        _expires(conversation),
                    ),
                )
            )
            if not done:
                raise errors.occupied(conversation.key)
            self._placed += 1

    def append(self, key: str, drafts: list[Draft]) -> None:
        """Store behind what exists."""
        if key in self.behind:
            self.stored += 1
            if drafts:
                self.messages += self._carry_out(self._plans.add("append", key, drafts, None))[1]

    def undo(self) -> None:
        """Remove what was staged, and what was put where nothing had been."""
        with suppress(errors.ChatStoreError):
            for conversation, token in self._staged[self._placed :]:
                self._carry_out(self._plans.discard(conversation.key, token))
            if self._on_conflict == "replace":
                return
            for conversation, token in self._staged[: self._placed]:
                with suppress(errors.ConflictError):  # somebody has written there since
                    mine = ops.Replace(conversation.key, (), f"{token}-1")
                    self._carry_out(self._plans.replace(mine))

    def _exists(self, key: str) -> bool:
        return self._carry_out(self._plans.describe(ops.Describe(key))) is not None
