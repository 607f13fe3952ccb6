"""Reading the shape `.json`, LlamaIndex's or ours, whole: its members come in any order."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from chatstore import clock, codec
from chatstore.errors import DuplicateMessageError, InvalidMessageError
from chatstore.messages import ChatMessage
from chatstore.records import Conversation, Draft
from chatstore.transfer import lines, message_in, state, strict
from chatstore.transfer.lines_in import check_version
from chatstore.transfer.message import HEAD, PLAIN
from chatstore.transfer.message_in import MemberError
from chatstore.transfer.origin import Origin
from chatstore.transfer.stream import NEW, Progress, Stream

_TOP = frozenset(
    (
        *("class_name", "format", "version", "snapshot", "exported_at", "source"),
        *("store", "conversations"),
    )
)
_SHAPE = frozenset(("role", "additional_kwargs", "blocks"))
_SHOWN = _SHAPE | message_in.OWN | {"native"}
_plain = re.compile(rf"({PLAIN}),{HEAD}\}}").match


class Document:
    """A file of this shape: `check` takes it apart, `stream` gives what it held."""

    def __init__(self, origin: Origin, progress: Progress | None) -> None:
        self._origin = origin
        self._progress = progress
        self._now = clock.now()
        self._held: list[tuple[Conversation, list[Draft]]] = []
        self.messages = 0
        """How many messages there are."""

    def check(self) -> None:
        """Read and check all of it.

        Raises:
            TransferError: It is no such document.
        """
        try:
            self._read()
        except MemoryError:
            raise self._origin.error(
                None, "it is too large to be held in memory, as a .json is; export a .jsonl"
            ) from None

    def stream(self) -> Stream:
        """The conversations, in the order of the document."""
        done = 0

        def messages(drafts: list[Draft]) -> Iterator[Draft]:
            nonlocal done
            for draft in drafts:
                yield draft
                done += 1
                if self._progress is not None and not done % lines.EVERY:
                    self._progress(done, self.messages)

        for conversation, drafts in self._held:
            yield conversation, messages(drafts)

    def clash(self, error: DuplicateMessageError) -> tuple[None, str]:
        """The place of the message whose id another one has, and what is wrong with it."""
        first: Draft | None = None
        place = 0
        drafts = next(drafts for told, drafts in self._held if told.key == error.key)
        for number, draft in enumerate(drafts, 1):
            if draft.id == error.id:
                if first is not None and codec.same_content(draft, first.format, first.payload):
                    continue
                place, first = number, draft
        return None, f"message {place} of {error.key!r}: {error}"

    def _read(self) -> None:
        data = b"".join(self._origin.blocks(unpack=False))
        if not data.strip():
            raise self._origin.error(None, "the file is empty; get a whole copy")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise self._origin.error(line, "it is not UTF-8") from None
        walk = _Walk(text)
        try:
            if walk.text.startswith('"', walk.at):
                # LlamaIndex takes a JSON string that holds the document, and so did its users.
                walk = _Walk(strict.load(text))
            found = _Found(walk)
            if found.ours:
                check_version(self._origin, None, found.top.get("version"))
            self._held = list(found.conversations(self._now))
        except (MemberError, strict.NotStrictError) as error:
            line = walk.text.count("\n", 0, walk.at) + 1
            raise self._origin.error(line, str(error)) from None
        self.messages = sum(len(drafts) for _, drafts in self._held)


class _Walk:
    """A place in JSON text, and steps over it that say where they fail."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = strict.skip_space(text, 0)

    def value(self) -> Any:
        """Step over a value."""
        value, self.at = strict.load_at(self.text, self.at)
        return value

    def members(self) -> Iterator[str]:
        """The names of an object, standing before each value, which the caller steps over."""
        self._step("{", "an object is expected")
        seen: set[str] = set()
        while self._goes_on("}", first=not seen):
            name = self.value()
            if not isinstance(name, str):
                raise strict.NotStrictError("a name in quotes is expected")
            if name in seen:
                raise strict.NotStrictError("an object has the same name twice")
            seen.add(name)
            self._step(":", "a colon is expected")
            yield name

    def items(self) -> Iterator[None]:
        """An array, standing before each item, which the caller steps over."""
        self._step("[", "an array is expected")
        first = True
        while self._goes_on("]", first=first):
            first = False
            yield None

    def end(self) -> None:
        """Make sure that nothing follows."""
        self.at = strict.skip_space(self.text, self.at)
        if self.at != len(self.text):
            raise strict.NotStrictError("there is more behind the document")

    def _goes_on(self, closing: str, *, first: bool) -> bool:
        self.at = strict.skip_space(self.text, self.at)
        if self.text.startswith(closing, self.at):
            self.at += 1
            return False
        if not first:
            self._step(",", "a comma is expected, or the end of what began before")
        return True

    def _step(self, character: str, otherwise: str) -> None:
        self.at = strict.skip_space(self.text, self.at)
        if not self.text.startswith(character, self.at):
            raise strict.NotStrictError(f"it is not this JSON: {otherwise}")
        self.at = strict.skip_space(self.text, self.at + 1)


class _Found:
    """What stands in a document, each thing with its place, before anything is made of it."""

    def __init__(self, walk: _Walk) -> None:
        self._walk = walk
        self._store: dict[str, list[tuple[int, Any]]] | None = None
        self._told: dict[str, tuple[int, Any]] = {}
        self.top: dict[str, Any] = {}
        """The members beside the messages."""
        for name in walk.members():
            if name == "store":
                self._store = {key: list(self._messages()) for key in walk.members()}
            elif name == "conversations" and walk.text.startswith("{", walk.at):
                self._told = {key: (walk.at, walk.value()) for key in walk.members()}
            else:
                self.top[name] = walk.value()
        walk.end()
        if self._store is None:
            raise MemberError('it has no "store" of messages; is it another kind of file?')

    @property
    def ours(self) -> bool:
        """Whether this library wrote it."""
        return self.top.get("format") == "chatstore"

    def _messages(self) -> Iterator[tuple[int, Any]]:
        walk = self._walk
        for _ in walk.items():
            start = walk.at
            if found := _plain(walk.text, start):
                opened, role, moment, id, archived = found.groups()
                item: Any = message_in.plain_draft(moment, id, archived, opened + "}", role)
                walk.at = found.end()
            else:
                item = walk.value()
            yield start, item

    def conversations(self, now: int) -> Iterator[tuple[Conversation, list[Draft]]]:
        """What a store takes in. LlamaIndex keeps keys without messages; they are left out."""
        store = self._store or {}
        if self.ours:
            if not self.top.keys() <= _TOP:
                raise MemberError("the document has members that version 1 does not know")
            if "conversations" in self.top:
                raise MemberError("conversations is no object")
            for key, (start, members) in self._told.items():
                if not (store.get(key) or (isinstance(members, dict) and "state" in members)):
                    self._walk.at = start
                    raise MemberError("this conversation has no messages in the store; remove it")
        for key, items in store.items():
            drafts = [self._draft(start, item, now) for start, item in items]
            if drafts:
                yield self._conversation(key, drafts), drafts
        if self.ours:
            for key in self._told:
                if not store.get(key):
                    alone = self._conversation(key, [])
                    state.check_alone(alone)
                    yield alone, []

    def _conversation(self, key: str, drafts: list[Draft]) -> Conversation:
        if self.ours and key in self._told:
            self._walk.at, members = self._told[key]
            if not isinstance(members, dict):
                raise MemberError("it is no object")
            return state.conversation(key, members)
        message_in.check_key(key)
        return Conversation(
            key=key,
            count=len(drafts),
            created_at=clock.show(min(draft.created_at for draft in drafts)),
            updated_at=clock.show(max(draft.created_at for draft in drafts)),
            expires_at=None,
            ttl=None,
            metadata={},
            revision=NEW,
        )

    def _draft(self, start: int, item: Any, now: int) -> Draft:
        if type(item) is Draft:
            return item
        self._walk.at = start
        if not isinstance(item, dict):
            raise MemberError("a message is no object")
        if not self.ours:
            own = {k: item.pop(k) for k in ("id", "created_at") if k in item}
            own = {k: v for k, v in own.items() if v is not None}
        elif "native" in item:
            if not (item.keys() <= _SHOWN and isinstance(item["native"], dict)):
                raise MemberError("it has members that version 1 does not know")
            return message_in.own(item, message_in.native_draft(item["native"]), now)
        else:
            own = {k: item.pop(k) for k in message_in.OWN if k in item}
        if item.keys() == _SHAPE:
            return message_in.own(own, message_in.native_draft({"payload": item}), now)
        return message_in.own(own, _encode(item), now)


def _encode(members: dict[str, Any]) -> Draft:
    """A message that someone else wrote, or an older LlamaIndex."""
    # As LlamaIndex does: content, where there is one, is what counts.
    members.pop("content" if members.get("content") is None else "blocks", None)
    try:
        return codec.encode(ChatMessage(**members), 0)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        place = first["loc"][0] if first["loc"] else "a name"  # a name of half a pair has no place
        raise MemberError(f"{place}: {first['msg']}") from None
    except InvalidMessageError:
        raise MemberError("a message is nested too deep, or is too large") from None
