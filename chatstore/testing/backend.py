"""What a store under test brings along: how it is opened, and a back door to its data."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from chatstore.aio import AsyncChatStore
from chatstore.store import ChatStore


class Backend(ABC):
    """A place where stores keep data, empty at first.

    The back door reads and writes that place without the store, for instance with the raw driver:
    so no method of a store is tested with itself.
    """

    durable: ClassVar[bool] = False
    """Whether a store that is opened later finds what an earlier one wrote."""

    shared: ClassVar[bool] = False
    """Whether several stores that are open at once see each other's writes."""

    frees_expired: ClassVar[bool] = False
    """Whether expired conversations go by themselves, so that `purge_expired` finds none."""

    @abstractmethod
    def open(self, **options: Any) -> ChatStore | AsyncChatStore:
        """A store over this place; `ttl`, `namespace` and `strict` are passed on as given."""

    @abstractmethod
    def raw_payloads(self, key: str, namespace: str = "") -> list[str]:
        """Back door: the payloads of a conversation, oldest first."""

    @abstractmethod
    def put_raw(self, key: str, format: str, payload: str) -> None:
        """Back door: put a payload of a format in the place of the newest message, unchecked."""

    def faults(self, key: str, namespace: str = "") -> list[str]:
        """Back door: what contradicts itself in the data of a conversation, a sentence each.

        For instance ordinals that do not rise, or a count that is not the number of messages.
        """
        return []

    def close(self) -> None:  # noqa: B027
        """Give back what the place takes. The stores over it are closed by then."""
