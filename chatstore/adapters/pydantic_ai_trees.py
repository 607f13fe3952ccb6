"""From a head to the messages up to it, in whatever conversation they are."""

from collections.abc import Sequence

from chatstore import operations as ops
from chatstore.adapters.doors import ask
from chatstore.adapters.pydantic_ai_branches import Node, Tree, chain, left
from chatstore.adapters.pydantic_ai_hints import Hints
from chatstore.aio import AsyncChatStore
from chatstore.arguments import Window


class Trees:
    """The entries of the conversations of a store."""

    def __init__(self, store: AsyncChatStore, hints: Hints) -> None:
        self._store = store
        self._hints = hints

    async def of(self, key: str) -> Tree:
        """The entries that a conversation holds, and those that it has left."""
        rows = await ask(self._store, ops.Read(key, Window()))
        state = await ask(self._store, ops.ReadState(key))
        return Tree(chain(key, rows), left(state))

    async def elsewhere(self, id: str) -> tuple[str, list[Node]]:
        """The key of a conversation that has an entry, and the entries up to it.

        Raises:
            KeyError: There is none.
        """
        key = self._hints.key_of(id)
        for attempt in range(2):
            if attempt:
                key = await ask(self._store, ops.FindEntry(id))
            if key is not None:
                path, gap = (await self.of(key)).path(id)
                if gap is None:
                    return key, path
        raise KeyError(id)

    async def moved(
        self, key: str, new: Sequence[Node], head: str | None, *, exists: bool
    ) -> tuple[list[Node], str]:
        """The messages up to another head, and what the conversation `key` then has left.

        Raises:
            KeyError: Nobody has the head, or an entry before it.
        """
        tree = await self.of(key) if exists else Tree((), ())
        tree.add(new)
        path, gap = tree.path(head)
        while gap is not None:  # it is a fork
            _, found = await self.elsewhere(gap)
            tree.add(node.named for node in found)
            path, gap = tree.path(head)
        # All get ids of their own, by which what was left finds its way back.
        named = [node if node.draft.id is not None else node.named for node in path]
        return named, tree.without(path)
