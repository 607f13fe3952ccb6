"""Where the conversations in memory are kept: by key, and absent when they have expired."""

from chatstore import clock, errors
from chatstore.arguments import ABSENT, Expected
from chatstore.simple.conversation import Held


class Shelf:
    """The conversations of one store; `ttl` is that of new ones, in microseconds."""

    def __init__(self, ttl: int | None) -> None:
        self.ttl = ttl
        self.held: dict[str, Held] = {}
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
        self._incarnations += 1
        now = clock.now()
        return Held(key, self._incarnations, self.ttl, now, now)

    def keep(self, held: Held) -> None:
        """Note a write; without messages the conversation goes."""
        held.touched(clock.now())
        if held.rows:
            self.held[held.key] = held
        else:
            self.held.pop(held.key, None)

    def live(self, prefix: str = "") -> list[Held]:
        """The live conversations whose keys have a prefix, by key."""
        found = (self.find(key) for key in sorted(self.held) if key.startswith(prefix))
        return [held for held in found if held is not None]
