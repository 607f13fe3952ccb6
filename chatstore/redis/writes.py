"""The plans of operations that write; each asks once, unless an id is known under another text."""

from collections.abc import Sequence

from chatstore import codec, errors
from chatstore import operations as ops
from chatstore.arguments import Expected
from chatstore.records import Draft, Row, made_id
from chatstore.redis import rows as layout
from chatstore.redis.asking import Asking, Plan, in_us


class Writes(Asking):
    """The plans that write."""

    def append(self, op: ops.Append) -> Plan[list[str]]:
        """Carry out `Append`."""
        key, drafts = op.key, op.drafts
        if not drafts:
            return []
        if any(draft.id is not None or draft.archived for draft in drafts):
            ids, _ = yield from self.add("append", key, drafts, op.expected)
            return ids
        result = yield from self.write(
            "append_plain",
            key,
            self._ttl,
            expectation(op.expected),
            *map(layout.plain_text, drafts),
        )
        incarnation, serial = layout.kept(result)
        return [made_id(incarnation, serial + place) for place in range(len(drafts))]

    def insert(self, op: ops.Insert) -> Plan[list[str]]:
        """Carry out `Insert`."""
        ids, _ = yield from self.add("insert", op.key, (op.draft,), op.expected, op.idx)
        return ids

    def add(
        self, which: str, key: str, drafts: Sequence[Draft], expected: Expected, *behind: int
    ) -> Plan[tuple[list[str], int]]:
        """Append or insert; the ids of the records, and how many of the drafts are new."""
        before = (self._ttl, expectation(expected))
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
            "replace", op.key, op.drafts, (self._ttl, expectation(op.expected), sign)
        )

    def update(self, op: ops.Update) -> Plan[Row | None]:
        """Carry out `Update`."""
        result = yield from self.write(
            "update", op.key, expectation(op.expected), layout.draft_text(op.draft), op.idx
        )
        if result == "taken":
            raise errors.duplicate(op.key, op.draft.id)
        return next(iter(_result_rows(result)), None)

    def delete_at(self, op: ops.DeleteAt) -> Plan[Row | None]:
        """Carry out `DeleteAt`."""
        result = yield from self.write(
            "delete_at", op.key, expectation(op.expected), op.idx, layout.SIGNS[op.status]
        )
        return next(iter(_result_rows(result)), None)

    def delete(self, op: ops.Delete) -> Plan[list[Row] | None]:
        """Carry out `Delete`."""
        sign = layout.SIGNS[op.status]
        result = yield from self.write("delete", op.key, expectation(op.expected), sign)
        return None if result == "none" else _result_rows(result)

    def delete_oldest(self, op: ops.DeleteOldest) -> Plan[list[Row]]:
        """Carry out `DeleteOldest`."""
        result = yield from self.write("delete_oldest", op.key, expectation(op.expected), op.n)
        return _result_rows(result)

    def archive(self, op: ops.Archive) -> Plan[list[Row]]:
        """Carry out `Archive`."""
        result = yield from self.write("archive", op.key, expectation(op.expected), op.n)
        return _result_rows(result)

    def erase(self, op: ops.Erase) -> Plan[bool]:
        """Carry out `Erase`."""
        result = yield from self.write("erase", op.key)
        return result == "1"

    def set_metadata(self, op: ops.SetMetadata) -> Plan[bool]:
        """Carry out `SetMetadata`."""
        result = yield from self.write(
            "set_metadata", op.key, expectation(op.expected), op.metadata
        )
        return result == "1"

    def set_ttl(self, op: ops.SetTTL) -> Plan[bool]:
        """Carry out `SetTTL`."""
        result = yield from self.write("set_ttl", op.key, expectation(op.expected), in_us(op.ttl))
        return result == "1"


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


def _result_rows(result: str) -> list[Row]:
    if not result.startswith("rows|"):
        return []
    first, *flat = result.split("\n")
    return layout.rows(first.removeprefix("rows|"), flat[::2], flat[1::2])


def expectation(expected: Expected) -> str:
    """What is expected, as scripts take it."""
    if expected is None:
        return ""
    if not isinstance(expected, str):
        return "0"
    return f"={expected}" if expected.isascii() else "=?"
