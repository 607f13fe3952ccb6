"""Backup and restore: conversations out of the store, and into it as they were elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from typing import NamedTuple, Protocol, TypeVar

from chatstore import arguments, clock, codec, errors
from chatstore import operations as ops
from chatstore.records import Conversation, Draft, Row, StateDraft
from chatstore.redis.asking import Plan
from chatstore.redis.checks import Whole
from chatstore.redis.plans import BY_TTL, Plans
from chatstore.redis.writes import distinct
from chatstore.transfer import (
    NEW,
    Accompanied,
    OnConflict,
    Snapshot,
    Stream,
    TransferReport,
    accompanied,
    alone,
)

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
    # Those that have become conversations by now may be among the keys already, or not.
    named = {head.key for head in heads}.union(carry_out(plans.alone()))

    def conversations() -> Iterator[tuple[Conversation, Iterable[Row]]]:
        for key in sorted(named):
            whole = carry_out(plans.whole(key))
            if whole is not None:
                yield _with_state(plans, key, whole), whole.rows
                continue
            found = carry_out(plans.state_alone(key))
            if found is not None:  # else it went meanwhile
                state, parted = found
                ttl = int(state.ttl) if state.ttl else None
                yield alone(key, state.draft(parted), ttl, state.expires_at), ()

    return Snapshot(messages, False, conversations())


def _with_state(plans: Plans, key: str, whole: Whole) -> Conversation:
    told = whole.header.conversation(key, whole.metadata)
    member, parted = whole.state
    if not member:
        return told
    state = plans.held_state(key, member)
    return accompanied(told, state.draft(parted), changed=state.seen != told.revision)


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
    """What was staged; `joins`: a state is there that the conversation goes with."""

    conversation: Conversation
    token: str
    revision: str
    joins: bool
    alone: bool


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
        exists, alone = self._exists(key)
        if (exists or alone) and self._on_conflict == "error":
            raise errors.occupied(key)
        if exists and self._on_conflict == "append" and drafts:
            # Ids are compared before the revision is, and that fits none: nothing is written.
            with suppress(errors.ConflictError):
                self._carry_out(self._plans.append(ops.Append(key, drafts, "")))

    def stage(self, conversation: Conversation, drafts: list[Draft]) -> None:
        """Build a conversation aside, unless it has another way to go."""
        key = conversation.key
        exists = alone = False
        if self._on_conflict in ("skip", "append"):
            exists, alone = self._exists(key)
        if (exists or alone) and self._on_conflict == "skip":
            self.skipped += bool(drafts)
        elif exists:
            self.behind.add(key)
        else:
            self.stored += bool(drafts)
            drafts = list(distinct(key, drafts)[0])
            self.messages += len(drafts)
            if drafts:  # without a message there is no conversation
                self._stage_messages(conversation, drafts, joins=alone)
            elif isinstance(conversation, Accompanied) and not alone:
                self._stage_alone(conversation)

    def _stage_messages(
        self, conversation: Conversation, drafts: list[Draft], *, joins: bool
    ) -> None:
        key = conversation.key
        ttl = arguments.ttl_in_us(conversation.ttl)
        if conversation.revision == NEW:
            ttl = self._plans.ttl
        token = self._carry_out(self._plans.stage(key, drafts, ttl))
        revision = f"{token}-1"
        self._staged.append(_Staged(conversation, token, revision, joins, False))
        if isinstance(conversation, Accompanied) and not joins:
            seen = "" if conversation.changed else revision
            self._carry_out(self._plans.stage_state(key, conversation.state, token, seen, None))

    def _stage_alone(self, conversation: Accompanied) -> None:
        token = seen = self._plans.lanes.token()
        ends = _expires(conversation)
        if ends is not None:
            seen += f"@{ends}"
        self._staged.append(_Staged(conversation, token, f"~{seen}", False, True))
        ttl = arguments.ttl_in_us(conversation.ttl)
        self._carry_out(
            self._plans.stage_state(conversation.key, conversation.state, token, seen, ttl)
        )

    def place(self) -> None:
        """Put what was staged in its place."""
        for staged in self._staged:
            if not self._carry_out(self._placing(staged)):
                raise errors.occupied(staged.conversation.key)
            self._placed += 1

    def _placing(self, staged: _Staged) -> Plan[bool]:
        told = staged.conversation
        there = "any" if self._on_conflict == "replace" else "state" if staged.joins else "none"
        if staged.alone:
            return self._plans.adopt_state(
                told.key, staged.token, there=there, expires_at=_expires(told)
            )
        return self._plans.adopt(
            told.key,
            staged.token,
            codec.encode_metadata(told.metadata),
            there=there,
            times=(clock.read(told.created_at), clock.read(told.updated_at), _expires(told)),
        )

    def append(self, key: str, drafts: list[Draft]) -> None:
        """Store behind what exists."""
        if key in self.behind:
            self.stored += bool(drafts)
            if drafts:
                self.messages += self._carry_out(self._plans.add("append", key, drafts, None))[1]

    def undo(self) -> None:
        """Remove what was staged, and what was put where nothing had been."""
        with suppress(errors.ChatStoreError):
            for staged in self._staged[self._placed :]:
                self._carry_out(self._plans.discard(staged.conversation.key, staged.token))
            if self._on_conflict == "replace":
                return
            for staged in self._staged[: self._placed]:
                with suppress(errors.ConflictError):  # somebody has written there since
                    self._undo_placed(staged)

    def _undo_placed(self, staged: _Staged) -> None:
        key, revision = staged.conversation.key, staged.revision
        if staged.alone:
            self._carry_out(self._plans.delete_state(ops.DeleteState(key, revision)))
            return
        state = self._carry_out(self._plans.read_state(ops.ReadState(key)))
        if staged.joins and state is not None and state.body is not None:
            kept = StateDraft(state.body, None, state.scope, state.updated_at)
            self._carry_out(self._plans.write_state(ops.WriteState(key, kept, (), True, revision)))
            return
        self._carry_out(self._plans.replace(ops.Replace(key, (), revision)))

    def _exists(self, key: str) -> tuple[bool, bool]:
        return self._carry_out(self._plans.exists(key))
