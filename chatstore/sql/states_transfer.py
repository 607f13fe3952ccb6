"""What adapters keep beside conversations, on its way out of a store and into it."""

from collections.abc import Iterator
from typing import Any

from chatstore import arguments, clock, errors
from chatstore.records import Conversation
from chatstore.sql import states
from chatstore.sql.states import Told
from chatstore.sql.turn import Raced, Turn
from chatstore.transfer import Accompanied, OnConflict, accompanied, alone

PAGE = 100
"""States that are in memory at a time: one may hold all that a conversation has left."""

_CHANGED = 0
"""As the revision that a state has seen: no conversation has it, so that this one has changed."""


def all_states(turn: Turn) -> Iterator[Told]:
    """All live states, by key."""
    after = ""
    while True:
        named = {"namespace": turn.namespace, "now": turn.now, "after": after}
        page = turn.rows(turn.sql.states_by_key, n=PAGE, **named)
        yield from map(Told._make, page)
        if len(page) < PAGE:
            return
        after = str(page[-1][1])


def beside(told: Told, conversation: Conversation | None) -> Accompanied:
    """A state, with the conversation that it is beside, or alone."""
    key = str(told.key)
    if conversation is None:
        return alone(key, told.draft, told.ttl, told.expires_at)
    return accompanied(conversation, told.draft, changed=told.state(key).changed)


class Taking:
    """The states of a store that takes conversations in.

    Most stores have none: one statement finds that out, and keys are then not asked about.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._any = turn.row(turn.sql.any_state, namespace=turn.namespace) is not None

    def is_alone(self, key: str) -> bool:
        """Whether there is a state, and no conversation; one that has expired is removed."""
        if not self._any:
            return False
        told = states.find(self._turn, key)
        if told is None:
            self._turn.run(self._turn.sql.delete_dead_state, **self._turn.named(key))
        return told is not None and told.here is None

    def stays(self, key: str, on_conflict: OnConflict, *, beside_messages: bool) -> bool:
        """Whether a state that is alone stays where another conversation comes; else it goes.

        Raises:
            TransferError: Nothing may come.
        """
        if on_conflict == "error":
            raise errors.occupied(key)
        named = {"namespace": self._turn.namespace, "key": key}
        if on_conflict == "replace":
            self._turn.run(self._turn.sql.delete_state, **named)
            return False
        if beside_messages:
            # It goes with them from now on, however old they say that they are.
            self._turn.run(self._turn.sql.adopt_state, **named)
        return True

    def add(self, told: Accompanied, here: int | None, revision: int) -> None:
        """Store a state where none is, beside a conversation at a revision, or alone.

        Raises:
            Raced: Somebody else has stored one meanwhile.
        """
        row: dict[str, Any] = {
            "conversation_id": here,
            "seen": None if here is None else _CHANGED if told.changed else revision,
            "revision": 1,
            "scope": told.state.scope,
            "body": told.state.body,
            "parted": told.state.parted,
            "updated_at": told.state.updated_at,
            "ttl": None,
            "expires_at": None,
        }
        if here is None:
            row["ttl"] = arguments.ttl_in_us(told.ttl)
            expires_at = told.expires_at
            row["expires_at"] = None if expires_at is None else clock.read(expires_at)
        turn = self._turn
        if turn.row(turn.sql.add_state, namespace=turn.namespace, key=told.key, **row) is None:
            raise Raced
