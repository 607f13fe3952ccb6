"""Where the conversations in memory are kept: by key, and absent when they have expired."""

from chatstore import clock, errors
from chatstore.arguments import ABSENT, Expected
from chatstore.simple.beside import Beside
from chatstore.simple.conversation import Held


class Shelf:
    """The conversations of one store; `ttl` is that of new ones, in microseconds.

    `beside` is what adapters keep, for keys with messages and without; see `states`.
    """

    def __init__(self, ttl: int | None) -> None:
        self.ttl = ttl
        self.held: dict[str, Held] = {}
        self.beside: dict[str, Beside] = {}
        self._incarnations = 0

    def find(self, key: str, expected: Expected = None) -> Held | None:
        """The conversation, if it is live.

        Raises:
            ConflictError: It is not at the expected revision.
        """
        held = self.held.get(key)
        if held is not None and held.expires_at is not None and held.expires_at <= clock.now():
            held = None
        if expected is not None and (held.revision if held else ABSENT) != expected:
            raise errors.conflict(key)
        return held

    def new(self, key: str) -> Held:
        """A conversation that is not kept yet."""
        now = clock.now()
        return Held(key, self.incarnation(), self.ttl, now, now)

    def incarnation(self) -> int:
        """A number that never recurs."""
        self._incarnations += 1
        return self._incarnations

    def keep(self, held: Held) -> None:
        """Note a write; without messages the conversation goes."""
        held.touched(clock.now())
        if held.rows:
            old = self.held.get(held.key)
            if old is not None and old.incarnation != held.incarnation:
                self.drop(held.key)  # it had expired, and so had what was beside it
            self.held[held.key] = held
        else:
            self.drop(held.key)

    def drop(self, key: str) -> None:
        """Forget a conversation, and what is beside it."""
        self.held.pop(key, None)
        self.beside.pop(key, None)

    def live(self, prefix: str = "") -> list[Held]:
        """The live conversations whose keys have a prefix, by key."""
        found = (self.find(key) for key in sorted(self.held) if key.startswith(prefix))
        return [held for held in found if held is not None]
