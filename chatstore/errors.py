"""Every error that a store raises, in one small tree.

Catch `ChatStoreError` to catch them all. Each text says what happened and what to do about it;
none holds a password or the text of a message.
"""


class ChatStoreError(Exception):
    """What every error of this library is.

    Example:
        >>> issubclass(StoreBusyError, ChatStoreError)
        True
    """


class InvalidKeyError(ChatStoreError, ValueError):
    """The key is not a string of 1 to 1 024 bytes of UTF-8 without NUL."""


class InvalidMessageError(ChatStoreError, ValueError):
    """The message, or the metadata, holds what JSON cannot hold; the text names the path to it."""


class DuplicateMessageError(ChatStoreError):
    """The conversation holds another message under the same id.

    Attributes:
        key: The conversation.
        id: The id.
    """

    key: str = ""
    id: str | None = None


class KeyNotFoundError(ChatStoreError, LookupError):
    """The call needs a conversation that does not exist."""


class ConflictError(ChatStoreError):
    """The conversation is not what the caller expected: it changed, exists already, or is gone."""


class StoreClosedError(ChatStoreError):
    """The store was used after `close()`."""


class StoreBusyError(ChatStoreError):
    """Others held the store for longer than the lock timeout; nothing was written."""


class StoreFullError(ChatStoreError):
    """There is no room left where the store keeps its data; nothing was written."""


class StoreReadOnlyError(ChatStoreError):
    """The store cannot be written; nothing was."""


class StoreCorruptError(ChatStoreError):
    """What is stored is damaged, or is not a store at all."""


class StoreUnavailableError(ChatStoreError, ConnectionError):
    """The store cannot be reached."""


class SchemaOutdatedError(ChatStoreError):
    """The database has an older schema and was not asked to be upgraded."""


class SchemaTooNewError(ChatStoreError):
    """A newer version of this library wrote the schema; nothing was touched."""


class TransferError(ChatStoreError, ValueError):
    """A file cannot be imported, or not be exported; the store is as it was."""


# The errors that every store raises alike, with one text each.


def closed() -> StoreClosedError:
    """For a call after `close()`."""
    return StoreClosedError("the store is closed; open another, or close it later")


def not_copied(store: object) -> TypeError:
    """For a store that is copied or pickled, as what is sent to another process is."""
    return TypeError(
        f"a {type(store).__name__} is not copied or pickled: it holds files or connections; "
        "give away its URL, and open that where it is needed"
    )


def conflict(key: str) -> ConflictError:
    """For an `expected_revision` that is not the conversation's."""
    return ConflictError(
        f"the conversation {key!r} is not at the expected revision; read it again and retry"
    )


def duplicate(key: str, id: str | None) -> DuplicateMessageError:
    """For an id that another message has."""
    error = DuplicateMessageError(
        f"the conversation {key!r} holds another message under the id {id!r}; "
        "give the new one its own id, or none"
    )
    error.key, error.id = key, id
    return error


def missing(key: str) -> KeyNotFoundError:
    """For a conversation that a call cannot do without."""
    return KeyNotFoundError(f"there is no conversation {key!r}; it may have expired")


def exists(key: str) -> ConflictError:
    """For the target of a copy."""
    return ConflictError(
        f"there is a conversation {key!r} already; delete it, or copy to another key"
    )


def occupied(key: str) -> TransferError:
    """For an import of a key that exists."""
    return TransferError(
        f"the store holds a conversation {key!r} already; import with on_conflict set to "
        "'skip', 'replace' or 'append'"
    )


def nothing_to_copy(key: str) -> ValueError:
    """For a copy whose `stop` leaves no message."""
    return ValueError(f"stop leaves nothing of the conversation {key!r} to copy")
