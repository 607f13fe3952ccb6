"""What LlamaIndex's `RedisChatStore` wrote: a Redis list of JSON messages under the bare key."""

from collections.abc import Iterator
from typing import Any

from chatstore import arguments, clock, codec, json_text
from chatstore.errors import InvalidKeyError, InvalidMessageError, TransferError
from chatstore.messages import ChatMessage
from chatstore.records import Conversation, Draft
from chatstore.redis import connect, faults
from chatstore.redis.address import read
from chatstore.redis.asking import carried_out
from chatstore.redis.commands import RAW, scanning, servers
from chatstore.transfer import NEW, Stream


def stream(url: str) -> Stream:
    """The conversations of LlamaIndex in a Redis database, by key, for `_restore` of any store.

    Lists whose first element is no chat message are somebody else's, and passed over. A ttl does
    not come along: what remains of it says nothing of what it was. Conversations get the ttl of
    the store that takes them in.

    Args:
        url: As LlamaIndex's: `redis://…`, and the others that `RedisChatStore` takes.

    Raises:
        TransferError: A message of a conversation cannot be read; the text names key and place.
        StoreUnavailableError: The server cannot be reached.

    Example:
        >>> from functools import partial
        >>> def import_all(store, url):
        ...     return store._restore(partial(stream, url), "error")
    """
    address = read(url)
    client: Any = None
    try:
        client = connect.client(address, awaited=False)
        for key in sorted(_keys(client, clustered=address.kind == "cluster")):
            drafts = _drafts(key, client.execute_command("LRANGE", key, 0, -1, **RAW))
            if drafts:
                yield _conversation(key, drafts), drafts
    except faults.DRIVER as error:
        raise faults.translated(error, address.where, None) from None
    finally:
        if client is not None:
            for part in connect.parts(client):
                part.close()


def _keys(client: Any, *, clustered: bool) -> set[str]:
    found: set[str] = set()
    for ask in servers(client, clustered=clustered):
        found.update(_decoded(carried_out(scanning("list"), ask)))
    return found


def _decoded(names: list[bytes]) -> Iterator[str]:
    for name in names:
        try:
            yield name.decode()
        except UnicodeDecodeError:
            continue  # LlamaIndex's keys are text


def _drafts(key: str, items: list[bytes]) -> list[Draft]:
    now = clock.now()
    drafts: list[Draft] = []
    for place, item in enumerate(items):
        members = _members(item)
        if members is None and not drafts:
            return []
        path = f"the list {key!r}: message {place}"
        if members is None:
            raise TransferError(f"{path} is no chat message; nothing was imported")
        try:
            drafts.append(codec.encode(ChatMessage(**members), now, path))
        except InvalidMessageError as error:
            raise TransferError(f"{error}; nothing was imported") from None
        except (ValueError, TypeError):  # what pydantic says may quote the message
            raise TransferError(f"{path} cannot be read; nothing was imported") from None
    return drafts


def _members(item: bytes) -> dict[str, Any] | None:
    """The members of a message, if it is one."""
    try:
        members = json_text.load(item.decode())
    except ValueError:
        return None
    if not (isinstance(members, dict) and isinstance(members.get("role"), str)):
        return None
    return members if "blocks" in members or "content" in members else None


def _conversation(key: str, drafts: list[Draft]) -> Conversation:
    try:
        arguments.check_key(key)
    except InvalidKeyError as error:
        raise TransferError(f"the list {key!r}: {error}; nothing was imported") from None
    now = clock.show(clock.now())
    return Conversation(
        key=key,
        count=len(drafts),
        created_at=now,
        updated_at=now,
        expires_at=None,
        ttl=None,
        metadata={},
        revision=NEW,
    )
