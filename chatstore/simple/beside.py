"""What is kept in memory beside a conversation, or where there is none."""

from typing import NamedTuple

from chatstore.records import StateDraft
from chatstore.simple.conversation import Held


class Beside(NamedTuple):
    """A state as it is kept.

    Attributes:
        draft: What was written.
        incarnation: Of the conversation that it was written beside; `None`: there was none.
        mark: The revision that the write led to.
        ttl: Its own, while there is no conversation, in microseconds.
        expires_at: The end of it, while there is no conversation.
    """

    draft: StateDraft
    incarnation: int | None
    mark: str
    ttl: int | None
    expires_at: int | None

    def lives(self, held: Held | None, now: int) -> bool:
        """Whether it is there, beside a conversation or where none is."""
        if held is None:
            return self.incarnation is None and (self.expires_at is None or self.expires_at > now)
        if held.expires_at is not None and held.expires_at <= now:
            return False
        if self.incarnation is None:  # the conversation came later, and had to come in time
            return self.expires_at is None or held.created_at < self.expires_at
        return self.incarnation == held.incarnation
