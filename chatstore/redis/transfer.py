"""Conversations into the store, as they were elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from itertools import chain
from typing import NamedTuple

from chatstore import arguments, clock, codec, errors
from chatstore import operations as ops
from chatstore.records import Conversation, Draft, Row, StateDraft
from chatstore.redis import rows as layout
from chatstore.redis.asking import Plan
from chatstore.redis.plans import BY_TTL, Plans, parts
from chatstore.redis.snapshots import CarryOut, check_open
from chatstore.transfer import NEW, Accompanied, OnConflict, Stream, TransferReport


def restore(
    plans: Plans, carry_out: CarryOut, stream: Callable[[], Stream], on_conflict: OnConflict
) -> TransferReport:
    """Store conversations: all are looked at first, then staged, and then put in their places.

    Few messages are in memory at a time, but for those that are appended to what exists: they are
    one write, which the server must be sent whole.

    What is damaged or in conflict shows before anything changes. What fails later, for want of
    memory, say, leaves staged copies, which are removed; a key that somebody else took meanwhile
    makes the others go again.
    """
    check_open(plans, carry_out)
    restoring = _Restore(plans, carry_out, on_conflict)
    with closing(stream()) as conversations:
        for conversation, drafts in conversations:
            restoring.look(conversation, drafts)
    try:
        with closing(stream()) as conversations:
            for conversation, drafts in conversations:
                restoring.stage(conversation, drafts)
        restoring.place()
        if restoring.behind:
            # Behind what exists nothing can be staged: these are the last, one step each.
            with closing(stream()) as conversations:
                for conversation, drafts in conversations:
                    restoring.append(conversation.key, drafts)
    except BaseException:
        restoring.undo()
        raise
    return TransferReport(restoring.stored, restoring.messages, restoring.skipped)


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

    def look(self, conversation: Conversation, drafts: Iterable[Draft]) -> None:
        """Raise what would go wrong, but for ids that come twice: to stage them changes nothing."""
        key = arguments.check_key(conversation.key)
        codec.encode_metadata(conversation.metadata)
        arguments.ttl_in_us(conversation.ttl)
        exists, alone = self._exists(key)
        if (exists or alone) and self._on_conflict == "error":
            raise errors.occupied(key)
        if exists and self._on_conflict == "append":
            # Ids are compared before the revision is, and that fits none: nothing is written.
            with suppress(errors.ConflictError):
                self._carry_out(self._plans.append(ops.Append(key, list(drafts), "")))
        for _ in drafts:
            pass  # a file is checked by being read

    def stage(self, conversation: Conversation, drafts: Iterable[Draft]) -> None:
        """Build a conversation aside, unless it has another way to go."""
        key = conversation.key
        exists = alone = False
        if self._on_conflict in ("skip", "append"):
            exists, alone = self._exists(key)
        rest = iter(drafts)
        first = next(rest, None)
        if (exists or alone) and self._on_conflict == "skip":
            self.skipped += first is not None
        elif exists:
            self.behind.add(key)
        elif first is not None:
            self.stored += 1
            self._stage_messages(conversation, chain((first,), rest), joins=alone)
        elif isinstance(conversation, Accompanied) and not alone:
            self._stage_alone(conversation)  # without a message there is no conversation

    def _stage_messages(
        self, conversation: Conversation, drafts: Iterable[Draft], *, joins: bool
    ) -> None:
        key = conversation.key
        ttl = arguments.ttl_in_us(conversation.ttl)
        if conversation.revision == NEW:
            ttl = self._plans.ttl
        token = self._plans.lanes.token()
        revision = f"{token}-1"
        self._staged.append(_Staged(conversation, token, revision, joins, False))
        ids: set[str] = set()
        unsent: dict[str, Draft | Row] = {}

        def texts() -> Iterator[str]:
            for draft in drafts:
                if draft.id in ids:
                    first = unsent.get(draft.id) or self._sent(key, token, draft.id)
                    if not codec.same_content(draft, first.format, first.payload):
                        raise errors.duplicate(key, draft.id)
                    continue
                if draft.id is not None:
                    ids.add(draft.id)
                    unsent[draft.id] = draft
                yield layout.draft_text(draft)

        for part in parts(texts()):
            self._carry_out(self._plans.stage(key, token, part, ttl))
            self.messages += len(part)
            unsent.clear()
        if isinstance(conversation, Accompanied) and not joins:
            seen = "" if conversation.changed else revision
            self._carry_out(self._plans.stage_state(key, conversation.state, token, seen, None))

    def _sent(self, key: str, token: str, id: str) -> Row:
        """The message with an id that was staged: all of them may be too much to be in memory."""
        return self._carry_out(self._plans.staged(key, token, id))

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

    def append(self, key: str, drafts: Iterable[Draft]) -> None:
        """Store behind what exists."""
        if key in self.behind and (new := list(drafts)):
            self.stored += 1
            self.messages += self._carry_out(self._plans.add("append", key, new, None))[1]

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
