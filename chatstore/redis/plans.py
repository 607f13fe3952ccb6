"""How each operation is carried out: what Redis is asked, and what its answers mean."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

from chatstore import errors
from chatstore import operations as ops
from chatstore.records import Row, StateDraft
from chatstore.redis import faults
from chatstore.redis import rows as layout
from chatstore.redis.asking import Ask, Plan, in_us
from chatstore.redis.keys import staging
from chatstore.redis.states import States

T = TypeVar("T")

STAGE_BYTES, STAGE_TEXTS = 4 << 20, 10_000
"""About how much of a conversation is staged in one round trip."""

BY_TTL = -1
"""As the moment of an expiry: a ttl from now."""


class Plans(States):
    """The plans of one store: those that write, those that read, and those that do both."""

    def plan(self, operation: ops.Operation[T]) -> Plan[T]:
        """The plan of an operation."""
        return cast("Plan[T]", _PLANS[type(operation)](self, operation))

    def copy(self, op: ops.Copy) -> Plan[int]:
        """Carry out `Copy`: in one script, or between two servers of a cluster in three."""
        if not self.clustered:
            source = self.names.conversation(op.key)
            stop = "" if op.stop is None else op.stop
            result = yield from self.write("copy", op.to_key, stop, others=(source,))
            if result.startswith("source|"):
                raise faults.told(result, op.key)
            if result == "missing":
                raise errors.missing(op.key)
            if result == "exists":
                raise errors.exists(op.to_key)
            if result == "nothing":
                raise errors.nothing_to_copy(op.key)
            return int(result)
        found = yield from self.whole(op.key)
        if found is None:
            raise errors.missing(op.key)
        if (yield from self.describe(ops.Describe(op.to_key))) is not None:
            raise errors.exists(op.to_key)
        drafts = [row.draft for row in found.rows[: op.stop]]
        if not drafts:
            raise errors.nothing_to_copy(op.key)
        token = self.lanes.token()
        for part in parts(map(layout.draft_text, drafts)):
            yield from self.stage(op.to_key, token, part, found.header.ttl)
        if not (yield from self.adopt(op.to_key, token, found.metadata, there="state")):
            raise errors.exists(op.to_key)
        return len(drafts)

    def stage(self, key: str, token: str, texts: Sequence[str], ttl: int | None) -> Plan[None]:
        """Build a conversation aside, or go on with it; the token never recurs."""
        name = staging(self.names.conversation(key), token)
        yield from self.write("stage", key, token, in_us(ttl), *texts, at=name)

    def staged(self, key: str, token: str, id: str) -> Plan[Row]:
        """The message with an id of what was staged."""
        name = staging(self.names.conversation(key), token)
        [score] = yield Ask([("ZSCORE", name, f"@{layout.escape(id)}")], key)
        if score is None:
            raise _lost(key)
        ordinal = -int(float(score))
        [members] = yield Ask([("ZRANGEBYSCORE", name, ordinal, ordinal)], key)
        return layout.row(token, layout.texts(members)[0], ordinal)

    def adopt(
        self,
        key: str,
        token: str,
        metadata: str,
        *,
        there: str,
        times: tuple[int, int, int | None] | None = None,
    ) -> Plan[bool]:
        """Put what was staged in its place; `False`: something is there, and should not be.

        Args:
            key: The place.
            token: Where it was staged.
            metadata: What it gets, as JSON.
            there: What may be there: "none", "state" (one alone, which goes with the conversation
                instead of what was staged), or "any" (which goes).
            times: When it was created, updated, and expires (`None`: never; or `BY_TTL`).
        """
        created, updated, expires = ("", "", BY_TTL) if times is None else times
        result = yield from self.write(
            "adopt",
            key,
            there,
            created,
            updated,
            "never" if expires is None else "" if expires == BY_TTL else expires,
            metadata,
            others=(staging(self.names.conversation(key), token),),
        )
        return _is_placed(key, result)

    def stage_state(
        self, key: str, state: StateDraft, token: str, seen: str, ttl: int | None
    ) -> Plan[None]:
        """Build a state aside, with the messages that may be there, or alone with its ttl."""
        member, parted = layout.state_member(state, seen, ttl), layout.parted_member(state)
        name = staging(self.names.conversation(key), token)
        yield from self.write("stage_state", key, member, parted, at=name)

    def adopt_state(
        self, key: str, token: str, *, there: str, expires_at: int | None
    ) -> Plan[bool]:
        """Put a state that was staged alone in its place; as `adopt`."""
        name = staging(self.names.conversation(key), token)
        ends = "" if expires_at is None else expires_at
        result = yield from self.write("adopt_state", key, there, ends, others=(name,))
        return _is_placed(key, result)

    def discard(self, key: str, token: str) -> Plan[None]:
        """Forget what was staged."""
        yield Ask([("UNLINK", staging(self.names.conversation(key), token))])


def _is_placed(key: str, result: str) -> bool:
    if result == "lost":
        raise _lost(key)
    return result == "kept"


def _lost(key: str) -> errors.StoreUnavailableError:
    return errors.StoreUnavailableError(f"what was staged for {key!r} is gone; repeat it")


def parts(texts: Iterable[str]) -> Iterator[Sequence[str]]:
    """The texts, in parts that a script takes at once."""
    part: list[str] = []
    size = 0
    for text in texts:
        part.append(text)
        size += len(text)
        if size >= STAGE_BYTES or len(part) >= STAGE_TEXTS:
            yield part
            part, size = [], 0
    if part:
        yield part


_PLANS: dict[type[ops.Operation[Any]], Callable[[Plans, Any], Plan[Any]]] = {
    ops.Append: Plans.append,
    ops.Insert: Plans.insert,
    ops.Replace: Plans.replace,
    ops.Update: Plans.update,
    ops.DeleteAt: Plans.delete_at,
    ops.Delete: Plans.delete,
    ops.DeleteOldest: Plans.delete_oldest,
    ops.Archive: Plans.archive,
    ops.Read: Plans.read,
    ops.ReadAfter: Plans.read_after,
    ops.Count: Plans.count,
    ops.ListKeys: Plans.list_keys,
    ops.ListConversations: Plans.list_conversations,
    ops.Describe: Plans.describe,
    ops.SetMetadata: Plans.set_metadata,
    ops.SetTTL: Plans.set_ttl,
    ops.PurgeExpired: Plans.purge_expired,
    ops.Copy: Plans.copy,
    ops.Erase: Plans.erase,
    ops.ReadState: Plans.read_state,
    ops.ListStates: Plans.list_states,
    ops.WriteState: Plans.write_state,
    ops.DeleteState: Plans.delete_state,
    ops.FindEntry: Plans.find_entry,
    ops.Check: Plans.check,
}
