"""Where the demo plays: made free of what an earlier one left, and of nothing else."""

import contextlib
import os

from chatstore import ChatStore, ChatStoreError, open_store
from chatstore.cli import exits, stores
from chatstore.cli.demo_scene import backup_of

KEY = "chatstore demo"
"""The conversation by which the demo knows a store as its own; the killed writer appends to it."""

MARK = {"made_by": "chatstore demo"}
"""The metadata of that conversation."""

NAMESPACE = "chatstore-demo"
"""Where the demo works on a server, so that it meets nobody's conversations."""

_BESIDE = ("", "-wal", "-shm", "-lock", "-journal")


def make_room(url: str, namespace: str) -> None:
    """Remove what an earlier demo made; refuse to touch anything else."""
    path = stores.sqlite_path(url)
    if path is None:
        with open_store(url, namespace=namespace) as store:
            if not _is_ours(store):
                raise _refusal(f"{stores.where(url)} holds conversations")
            for key in store.get_keys():
                store.delete_messages(key)
        return
    backup = backup_of(path)
    if not os.path.exists(path):
        if os.path.exists(backup):
            raise _refusal(f"{backup} exists")
        return
    try:
        with stores.open_reading(url, namespace) as store:
            ours = _is_ours(store)
    except ChatStoreError:
        ours = False
    if not ours:
        raise _refusal(f"{path} exists")
    for name in (backup, *(path + end for end in _BESIDE)):
        with contextlib.suppress(FileNotFoundError):
            os.remove(name)


def _is_ours(store: ChatStore) -> bool:
    found = store.get_conversation(KEY)
    return not store.get_keys(limit=1) or (found is not None and found.metadata == MARK)


def _refusal(what: str) -> exits.CommandError:
    return exits.CommandError(
        f"{what} and is not the demo's own; name another place: chatstore demo --path demo.db"
    )
