"""Pydantic AI on a store."""

from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from chatstore import arguments, clock
from chatstore import operations as ops
from chatstore.adapters import pydantic_ai_branches as branches
from chatstore.adapters import pydantic_ai_messages as messages
from chatstore.adapters.doors import AnyStoreOrURL, ask, awaiting, missing
from chatstore.adapters.pydantic_ai_hints import LONGEST, SAVING, Hints, Saving, Seen
from chatstore.adapters.pydantic_ai_trees import Trees
from chatstore.arguments import Expected, Window
from chatstore.errors import ConflictError
from chatstore.messages import is_kept
from chatstore.records import State, StateDraft

try:
    from pydantic_ai.conversation import Conversation
    from pydantic_ai.conversation_store import (
        ConversationConflict,
        ConversationEntry,
        ConversationRecord,
        ConversationStore,
    )
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.run import AgentRunResult
except ImportError as error:
    raise missing("pydantic-ai", error) from error

__all__ = ["ChatStoreConversations"]


class ChatStoreConversations(ConversationStore):
    """Pydantic AI's `ConversationStore`: conversations of a store, with branches, forks and scopes.

    The history is the conversation of the store, message by message, under the id of the
    conversation as its key: `ChatStore.get_messages` shows it. What other frameworks wrote there
    is part of it, as views, and is never rewritten; a fork copies the messages that it keeps, so
    that each conversation has a ttl and an end of its own. Deleting, expiring and erasing take the
    branches along that were left, and so do exports and copies of the store.

    Args:
        store: A `ChatStore`, an `AsyncChatStore`, or a URL to open; only what was opened here is
            closed by `close()`.
        as_json: Whether what JSON has no value for, such as the model or the bytes that a tool
            returned, is stored as Pydantic AI's own JSON of it, and comes back as that. Otherwise
            it is refused.

    Raises:
        TypeError: `store` is none of these.

    Example:
        >>> from pydantic_ai.conversation import Conversation
        >>> from pydantic_ai.messages import ModelRequest
        >>> from chatstore import open_store
        >>> with open_store("memory://") as store:
        ...     hello = ModelRequest.user_text_prompt("Hello")
        ...     talk = Conversation(conversation_id="user1", messages=[hello])
        ...     _ = await ChatStoreConversations(store).save(talk, scope="alice")
        ...     store.get_messages("user1")[0].content
        'Hello'
        >>> async with ChatStoreConversations("memory://") as conversations:
        ...     print(await conversations.load("user1"))
        None
    """

    def __init__(self, store: AnyStoreOrURL, *, as_json: bool = False) -> None:
        self._store, self._opened = awaiting(store)
        self._as_json = as_json
        self._hints = Hints()
        self._trees = Trees(self._store, self._hints)

    def __repr__(self) -> str:
        return f"ChatStoreConversations({self._store!r})"

    async def close(self) -> None:
        """Close the store if it was opened here. Closing twice is fine."""
        if self._opened:
            await self._store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # What the framework asks for

    async def save(
        self, conversation: Conversation | AgentRunResult[Any], *, scope: str | None = None
    ) -> list[ConversationEntry]:
        """Save a conversation as the framework does, mostly in one step. See `write_record`.

        The framework reads the record, and has it written if it is still that. It is told what was
        seen here last, for the write finds out; if it goes no further, it is told what is there.
        """
        saving = Saving(self)
        outer = SAVING.set(saving)
        try:
            return await super().save(conversation, scope=scope)
        except ConversationConflict:
            if not saving.guessed:
                raise
        finally:
            SAVING.reset(outer)
        return await super().save(conversation, scope=scope)

    async def read_record(self, conversation_id: str) -> ConversationRecord | None:
        """The record of a conversation; `None` if there is none.

        One that another framework wrote has a record, too, without a scope. If others have written
        since the last save, the revision and the head are those of now, and no deferred requests
        are waited for any more.

        Raises:
            InvalidKeyError: `conversation_id` is no key.
        """
        key = arguments.check_key(conversation_id)
        if (saving := SAVING.get()) is not None and saving.steps(self):
            seen = self._hints.seen(key)
            if seen is None or seen.record is not None:
                saving.guessed = True
                return seen and messages.recalled(seen.record, seen.head)
        state = await ask(self._store, ops.ReadState(key))
        return None if state is None else await self._record(state)

    async def read_records(
        self, *, scope: str | None = None, limit: int | None = None
    ) -> Sequence[ConversationRecord]:
        """The records that were saved, newest first; not those of other frameworks.

        Raises:
            UserError: `limit` is negative.
        """
        if limit is not None and limit < 0:
            raise UserError("`limit` must not be negative.")
        if scope is not None and not is_kept(scope):
            return []
        found = await ask(self._store, ops.ListStates(scope, limit))
        return [await self._record(state) for state in found]

    async def write_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> None:
        """Store a record and its new entries, all or nothing, at the revision that is expected.

        Raises:
            ConversationConflict: The conversation is at another revision, or its head is an entry
                that nobody has.
            InvalidMessageError: A message, or the record, would not come back equal.
            InvalidKeyError: The id of the conversation is no key.
            ValueError: The scope holds NUL or half a character.
        """
        if (saving := SAVING.get()) is not None:
            saving.steps(self)
        key = arguments.check_key(record.conversation_id)
        if record.scope is not None and not is_kept(record.scope):
            raise ValueError("a scope holds NUL or a lone surrogate; leave it out")
        seen = await self._expected(key, expected_revision)
        now = clock.now()
        new = [self._node(entry, now, n) for n, entry in enumerate(new_entries)]
        ids = [None if seen is None else seen.head, *(node.id for node in new)]
        follows = ids == [*(node.parent for node in new), record.head_id]
        path, parted = new, None
        if not follows:
            try:
                path, parted = await self._trees.moved(
                    key, new, record.head_id, exists=seen is not None
                )
            except KeyError:
                raise ConversationConflict(key) from None
        body, copy = messages.encode_record(record, as_json=self._as_json)
        state = StateDraft(body, parted, record.scope, clock.read(record.updated_at))
        token: Expected = arguments.ABSENT if seen is None else seen.token
        try:
            drafts = [node.draft for node in path]
            write = ops.WriteState(key, state, drafts, not follows, token)
            revision = await ask(self._store, write)
        except ConflictError:
            self._hints.forget(key)
            raise ConversationConflict(key) from None
        kept = copy if len(body) <= LONGEST else None
        self._hints.note(key, Seen(record.revision, revision, record.head_id, kept))
        self._hints.entries(key, [node.id for node in path])

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        """Delete a conversation with its messages and the branches that it left. Forks stay.

        `ChatStore.erase` also makes the text gone from the files.

        Raises:
            ConversationConflict: The conversation is at another revision, or is not there.
        """
        key = arguments.check_key(conversation_id)
        seen = await self._expected(key, expected_revision)
        self._hints.forget(key)
        try:
            if seen is not None:
                await ask(self._store, ops.DeleteState(key, seen.token))
        except ConflictError:
            raise ConversationConflict(key) from None

    async def read_entry(self, entry_id: str) -> ConversationEntry:
        """The entry with an id; that of another framework's message once its record was read.

        Raises:
            KeyError: There is none.
        """
        return (await self.read_history(entry_id, limit=1))[0]

    async def read_history(
        self, head_id: str | None, *, limit: int | None = None
    ) -> list[ConversationEntry]:
        """The entries up to one, in order, or the last `limit` of them.

        If it is the head of a conversation whose record was read or written here, that is one
        read of those messages alone.

        Raises:
            KeyError: There is no such entry.
        """
        if head_id is None:
            return []
        key = self._hints.key_of(head_id)
        if key is not None:
            # One more than asked for: the parent of the first.
            last = None if limit is None else limit + 1
            rows = await ask(self._store, ops.Read(key, Window(last=last)))
            nodes = branches.chain(key, rows)
            if nodes and nodes[-1].id == head_id:
                return self._entries(key, nodes[1:] if len(nodes) == last else nodes)
        key, path = await self._trees.elsewhere(head_id)
        return self._entries(key, path if limit is None else path[max(0, len(path) - limit) :])

    # How

    async def _record(self, state: State) -> ConversationRecord:
        key = state.key
        if state.body is None:
            record = ConversationRecord(conversation_id=key, head_id=None)
            record.updated_at = clock.show(state.updated_at)
        else:
            record = branches.at_head(messages.decode_record(state.body), state)
        if state.body is None or state.changed:
            head = None
            if state.head is not None:
                rows = await ask(self._store, ops.Read(key, Window(last=1)))
                head = branches.entry_id(key, rows[-1]) if rows else None
            # What it waits for stands at the old head.
            waits = record.deferred_tool_requests if head == record.head_id else None
            record = replace(
                record, head_id=head, revision=state.revision, deferred_tool_requests=waits
            )
        body = None if state.changed or len(state.body or "") > LONGEST else state.body
        self._hints.note(key, Seen(record.revision, state.revision, record.head_id, body))
        self._hints.entries(key, [*record.branches, record.head_id])
        return record

    async def _expected(self, key: str, revision: str | None) -> Seen | None:
        """What was seen of the conversation at a revision; `None`: it is not to be there."""
        if revision is None:
            return None
        seen = self._hints.seen(key)
        if seen is None or seen.shown != revision:
            record = await self.read_record(key)
            seen = None if record is None else self._hints.seen(key)
        if seen is None or seen.shown != revision:
            raise ConversationConflict(key)
        return seen

    def _node(self, entry: ConversationEntry, now: int, n: int) -> branches.Node:
        path = f"new_entries[{n}].message"
        draft = messages.encode(entry.message, entry.id, now, path, as_json=self._as_json)
        return branches.Node(entry.id, entry.parent_id, draft)

    def _entries(self, key: str, nodes: Sequence[branches.Node]) -> list[ConversationEntry]:
        self._hints.entries(key, [node.id for node in nodes])
        found = messages.decode([node.row for node in nodes])
        return [
            ConversationEntry(id=node.id, parent_id=node.parent, message=message)
            for node, message in zip(nodes, found)
        ]
