"""How each operation is carried out: what Redis is asked, and what its answers mean.

A plan is a generator: it yields requests and is sent their replies, so that the blocking face and
the awaiting one share all of it but the word `await`. Most plans ask once.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

from chatstore import clock, codec, errors
from chatstore import operations as ops
from chatstore.arguments import EVERYTHING, Expected
from chatstore.records import CheckReport, Conversation, Draft, Row, made_id
from chatstore.redis import faults
from chatstore.redis import rows as layout
from chatstore.redis.checks import Whole, problems
from chatstore.redis.keys import Names, recent, staging
from chatstore.redis.lanes import Lanes
from chatstore.redis.scripts import Script, script

T = TypeVar("T")

BATCH = 500
"""How many keys are asked about in one round trip."""

STAGE_BYTES, STAGE_TEXTS = 4 << 20, 10_000
"""About how much of a conversation is staged in one round trip."""


BY_TTL = -1
"""As the moment of an expiry: a ttl from now."""


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


Request = Run | Ask | Scan
Plan = Generator[Request, Any, T]


class Head(NamedTuple):
    """A conversation, but for its messages; `header` is `None` if a newer version wrote it."""

    key: str
    header: layout.Header | None
    metadata: str

    @property
    def known(self) -> layout.Header:
        """The header.

        Raises:
            SchemaTooNewError: A newer version wrote it.
        """
        if self.header is None:
            raise faults.newer(self.key)
        return self.header


def _recency(head: Head) -> tuple[int, str]:
    return head.known.updated_at, head.key


class Plans:
    """The plans of one store.

    Args:
        names: Where it keeps its conversations.
        ttl: The ttl of new conversations, in microseconds.
        clustered: Whether two keys may be on two servers.
    """

    def __init__(self, names: Names, ttl: int | None, *, clustered: bool) -> None:
        self.names = names
        self.ttl = ttl
        self._ttl = _us(ttl)
        self.lanes = Lanes()
        self.clustered = clustered

    def plan(self, operation: ops.Operation[T]) -> Plan[T]:
        """The plan of an operation."""
        return cast("Plan[T]", _PLANS[type(operation)](self, operation))

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
        turn = self.lanes.take()
        try:
            reply = yield Run(
                script(which), (at or name, recent(name), *others), (*turn, *arguments), key, True
            )
        finally:
            self.lanes.give_back(turn)
        result = layout.text(reply)
        if result in ("conflict", "late"):
            raise _refused(result, key)
        return result

    # Writes

    def append(self, op: ops.Append) -> Plan[list[str]]:
        """Carry out `Append`."""
        key, drafts = op.key, op.drafts
        if not drafts:
            return []
        if len(drafts) > 1 or drafts[0].id is not None:
            ids, _ = yield from self.add("append", key, drafts, op.expected)
            return ids
        # One message without an id is what is written all day: the same, in one step.
        name = self.names.conversation(key)
        turn = self.lanes.take()
        try:
            reply = yield Run(
                script("append"),
                (name, recent(name)),
                (
                    turn.writer,
                    turn.number,
                    self._ttl,
                    _expected(op.expected),
                    layout.draft_text(drafts[0]),
                ),
                key,
                True,
            )
        finally:
            self.lanes.give_back(turn)
        verdict, incarnation, serial, _ = f"{layout.text(reply)}|||".split("|", 3)
        if verdict != "kept":
            raise _refused(verdict, key)
        return [made_id(incarnation, int(serial))]

    def insert(self, op: ops.Insert) -> Plan[list[str]]:
        """Carry out `Insert`."""
        ids, _ = yield from self.add("insert", op.key, (op.draft,), op.expected, op.idx)
        return ids

    def add(
        self, which: str, key: str, drafts: Sequence[Draft], expected: Expected, *behind: int
    ) -> Plan[tuple[list[str], int]]:
        """Append or insert; the ids of the records, and how many of the drafts are new."""
        before = (self._ttl, _expected(expected))
        rest, places = yield from self._offer(which, key, drafts, before, behind)
        incarnation, first, new = rest.split("|")
        ids = [
            made_id(incarnation, int(first) + place) if draft.id is None else draft.id
            for draft, place in zip(drafts, places)
        ]
        return ids, int(new)

    def _offer(
        self,
        which: str,
        key: str,
        drafts: Sequence[Draft],
        before: Sequence[str | int],
        behind: Sequence[str | int] = (),
    ) -> Plan[tuple[str, Sequence[int]]]:
        """Run a script with drafts, whose ids may be known; its result, and their places."""
        unique, places = distinct(key, drafts)
        texts = list(map(layout.draft_text, unique))
        while True:
            result = yield from self.write(which, key, *before, *texts, *behind)
            verdict, rest = result.split("|", 1)
            if verdict == "kept":
                return rest, places
            # The id is known, under another text: it may be equal as JSON, with its keys in
            # another order. Then the text that is stored is as good, and the script sees it.
            place, format, payload = rest.split("|", 2)
            draft = unique[int(place)]
            if not codec.same_content(draft, layout.unescape(format), payload):
                raise errors.duplicate(key, draft.id)
            texts[int(place)] = layout.draft_text(draft._replace(payload=payload))

    def replace(self, op: ops.Replace) -> Plan[None]:
        """Carry out `Replace`."""
        sign = layout.SIGNS[op.status]
        yield from self._offer(
            "replace", op.key, op.drafts, (self._ttl, _expected(op.expected), sign)
        )

    def update(self, op: ops.Update) -> Plan[Row | None]:
        """Carry out `Update`."""
        result = yield from self.write(
            "update", op.key, _expected(op.expected), layout.draft_text(op.draft), op.idx
        )
        if result == "taken":
            raise errors.duplicate(op.key, op.draft.id)
        return next(iter(_result_rows(result)), None)

    def delete_at(self, op: ops.DeleteAt) -> Plan[Row | None]:
        """Carry out `DeleteAt`."""
        result = yield from self.write("delete_at", op.key, _expected(op.expected), op.idx)
        return next(iter(_result_rows(result)), None)

    def delete(self, op: ops.Delete) -> Plan[list[Row] | None]:
        """Carry out `Delete`."""
        sign = layout.SIGNS[op.status]
        result = yield from self.write("delete", op.key, _expected(op.expected), sign)
        return None if result == "none" else _result_rows(result)

    def archive(self, op: ops.Archive) -> Plan[list[Row]]:
        """Carry out `Archive`."""
        result = yield from self.write("archive", op.key, _expected(op.expected), op.n)
        return _result_rows(result)

    def erase(self, op: ops.Erase) -> Plan[bool]:
        """Carry out `Erase`."""
        result = yield from self.write("erase", op.key)
        return result == "1"

    def set_metadata(self, op: ops.SetMetadata) -> Plan[bool]:
        """Carry out `SetMetadata`."""
        result = yield from self.write("set_metadata", op.key, _expected(op.expected), op.metadata)
        return result == "1"

    def set_ttl(self, op: ops.SetTTL) -> Plan[bool]:
        """Carry out `SetTTL`."""
        result = yield from self.write("set_ttl", op.key, _expected(op.expected), _us(op.ttl))
        return result == "1"

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
        token = yield from self.stage(op.to_key, drafts, found.header.ttl)
        if not (yield from self.adopt(op.to_key, token, found.metadata, absent=True)):
            raise errors.exists(op.to_key)
        return len(drafts)

    def stage(self, key: str, drafts: Sequence[Draft], ttl: int | None) -> Plan[str]:
        """Build a conversation aside; the token under which it is there."""
        token = ""
        for part in _parts(list(map(layout.draft_text, drafts))):
            token = token or self.lanes.token()
            name = staging(self.names.conversation(key), token)
            yield from self.write("stage", key, token, _us(ttl), *part, at=name)
        return token

    def adopt(
        self,
        key: str,
        token: str,
        metadata: str,
        *,
        absent: bool,
        times: tuple[int, int, int | None] | None = None,
    ) -> Plan[bool]:
        """Put what was staged in its place; `False`: something is there, and should not be.

        Args:
            key: The place.
            token: Where it was staged.
            metadata: What it gets, as JSON.
            absent: Whether nothing may be there.
            times: When it was created, updated, and expires (`None`: never; or `BY_TTL`).
        """
        created, updated, expires = ("", "", BY_TTL) if times is None else times
        result = yield from self.write(
            "adopt",
            key,
            "absent" if absent else "any",
            created,
            updated,
            "never" if expires is None else "" if expires == BY_TTL else expires,
            metadata,
            others=(staging(self.names.conversation(key), token),),
        )
        if result == "lost":
            raise errors.StoreUnavailableError(f"what was staged for {key!r} is gone; repeat it")
        return result == "kept"

    def discard(self, key: str, token: str) -> Plan[None]:
        """Forget what was staged."""
        yield Ask([("UNLINK", staging(self.names.conversation(key), token))])

    # Reads

    def read(self, op: ops.Read) -> Plan[list[Row]]:
        """Carry out `Read`."""
        if op.window == EVERYTHING:
            # A plain command: in a script, Lua would keep the memory of a long conversation.
            whole = yield from self.whole(op.key)
            return [] if whole is None else whole.rows
        last, start, stop, status = op.window
        bounds = ("" if bound is None else bound for bound in (last, start, stop))
        name = self.names.conversation(op.key)
        reply = yield Run(script("read"), (name,), (layout.SIGNS[status], *bounds), op.key)
        return _rows(reply)

    def read_after(self, op: ops.ReadAfter) -> Plan[list[Row]]:
        """Carry out `ReadAfter`."""
        after = op.after
        mark = () if after is None else (after.ordinal, after.serial, after.conversation)
        name = self.names.conversation(op.key)
        reply = yield Run(script("read_after"), (name,), (op.limit, *mark), op.key)
        return _rows(reply)

    def count(self, op: ops.Count) -> Plan[int]:
        """Carry out `Count`."""
        head = yield from self._head(op.key)
        if head is None:
            return 0
        header = head[0]
        if op.status is None:
            return header.held
        return header.archived if op.status == "archived" else header.held - header.archived

    def describe(self, op: ops.Describe) -> Plan[Conversation | None]:
        """Carry out `Describe`."""
        head = yield from self._head(op.key)
        return None if head is None else head[0].conversation(op.key, head[1])

    def _head(self, key: str) -> Plan[tuple[layout.Header, str] | None]:
        [reply] = yield Ask([("ZRANGE", self.names.conversation(key), 0, 1)], key)
        members = layout.texts(reply)
        if not members:
            return None
        return self._header(key, members[0]), layout.metadata(members)

    def _header(self, key: str, member: str) -> layout.Header:
        header = layout.header(member)
        if header is not None:
            return header
        raise faults.newer(key) if layout.is_newer(member) else faults.foreign(key)

    def whole(self, key: str) -> "Plan[Whole | None]":
        """Everything of a conversation, from one moment."""
        name = self.names.conversation(key)
        [reply] = yield Ask([("ZRANGE", name, 0, -1, "WITHSCORES")], key)
        members = layout.pairs(reply)
        if not members:
            return None
        return Whole.read(self._header(key, members[0][0]), members)

    # Lists

    def keys(self, prefix: str = "", after: str | None = None) -> Plan[list[str]]:
        """Keys that look like ours, in order."""
        names = yield Scan(self.names.pattern(prefix))
        keys = (self.names.key_of(layout.text(name)) for name in names)
        found = {key for key in keys if key is not None and key.startswith(prefix)}
        return sorted(key for key in found if after is None or key > after)

    def heads(self, keys: Sequence[str]) -> Plan[list[Head]]:
        """Those of some keys that are conversations."""
        found: list[Head] = []
        for start in range(0, len(keys), BATCH):
            part = keys[start : start + BATCH]
            asked = [("ZRANGE", self.names.conversation(key), 0, 1) for key in part]
            for key, reply in zip(part, (yield Ask(asked))):
                if isinstance(reply, Exception) or not reply:
                    continue  # another type, or gone meanwhile
                members = layout.texts(reply)
                header = layout.header(members[0])
                if header is not None or layout.is_newer(members[0]):
                    found.append(Head(key, header, layout.metadata(members)))
        return found

    def list_keys(self, op: ops.ListKeys) -> Plan[list[str]]:
        """Carry out `ListKeys`."""
        found = yield from self._page(op.prefix, op.after, op.limit)
        return [head.key for head in found]

    def _page(self, prefix: str, after: str | None, limit: int | None) -> Plan[list[Head]]:
        keys = yield from self.keys(prefix, after)
        found: list[Head] = []
        # Some may be no conversations: ask until there are enough.
        while keys and (limit is None or len(found) < limit):
            size = len(keys) if limit is None else min(len(keys), limit - len(found))
            found += yield from self.heads(keys[:size])
            keys = keys[size:]
        return found

    def list_conversations(self, op: ops.ListConversations) -> Plan[list[Conversation]]:
        """Carry out `ListConversations`."""
        after = op.after
        if op.order == "key":
            last = after.key if isinstance(after, Conversation) else after
            found = yield from self._page(op.prefix, last, op.limit)
        else:
            if isinstance(after, str):
                described = yield from self.describe(ops.Describe(after))
                if described is None:
                    raise errors.missing(after)
                after = described
            found = yield from self._page(op.prefix, None, None)
            found.sort(key=_recency, reverse=True)
            if after is not None:
                mark = (clock.read(after.updated_at), after.key)
                found = [head for head in found if _recency(head) < mark]
        return [head.known.conversation(head.key, head.metadata) for head in found[: op.limit]]

    def purge_expired(self, op: ops.PurgeExpired) -> Plan[int]:
        """Carry out `PurgeExpired`: Redis frees by itself."""
        yield from ()
        return 0

    def check(self, op: ops.Check) -> Plan[CheckReport]:
        """Carry out `Check`."""
        conversations = messages = 0
        found: list[str] = []
        for key in (yield from self.keys()):
            try:
                whole = yield from self.whole(key)
            except errors.SchemaTooNewError as error:
                found.append(str(error))
                continue
            except errors.StoreCorruptError:
                continue  # somebody else's
            if whole is not None:
                conversations, messages = conversations + 1, messages + len(whole.rows)
                [lives] = yield Ask([("PTTL", self.names.conversation(key))], key)
                found += problems(key, whole, int(lives))
        return CheckReport(conversations, messages, found)


def _refused(verdict: str, key: str) -> errors.ChatStoreError:
    if verdict == "conflict":
        return errors.conflict(key)
    return errors.StoreUnavailableError("the call was overtaken by a later one; repeat it")


def distinct(key: str, drafts: Sequence[Draft]) -> tuple[Sequence[Draft], Sequence[int]]:
    """The drafts without repetitions of one id, and the place of each there.

    Raises:
        DuplicateMessageError: Two of them differ under one id.
    """
    if all(draft.id is None for draft in drafts):
        return drafts, range(len(drafts))
    unique: list[Draft] = []
    places: list[int] = []
    seen: dict[str, int] = {}
    for draft in drafts:
        place = len(unique)
        if draft.id is not None:
            place = seen.setdefault(draft.id, place)
        if place == len(unique):
            unique.append(draft)
        elif not codec.same_content(draft, unique[place].format, unique[place].payload):
            raise errors.duplicate(key, draft.id)
        places.append(place)
    return unique, places


def _rows(reply: Sequence[str | bytes]) -> list[Row]:
    flat = layout.texts(reply)
    return layout.rows(flat[0], flat[1:]) if flat else []


def _result_rows(result: str) -> list[Row]:
    if not result.startswith("rows|"):
        return []
    first, *flat = result.split("\n")
    return layout.rows(first.removeprefix("rows|"), flat)


def _expected(expected: Expected) -> str:
    if expected is None:
        return ""
    if not isinstance(expected, str):
        return "0"
    return f"={expected}" if expected.isascii() else "=?"


def _us(ttl: int | None) -> str:
    return "" if ttl is None else str(ttl)


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
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
    ops.Check: Plans.check,
}
