"""A SQLite file that comes to be with what is put into it, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chatstore import ChatStore, ChatStoreError, ConflictError, StoreFullError, open_store
from chatstore.cli import stores
from chatstore.transfer.names import UNFINISHED

_LOG = ("-wal", "-journal")
_BESIDE = (*_LOG, "-shm", "-lock")


@contextmanager
def open_filling(url: str, namespace: str, ttl: float | None = None) -> Iterator[ChatStore]:
    """The store, for a command that fills it in one go, and may create it for that.

    A SQLite file that is missing is made under another name, and gets its own when it is complete.
    Made under its own, it could not be removed after a failure: another program may have found it
    by then, and keep its own data in it.
    """
    path = _missing(url)
    if path is None:
        with stores.open_writing(url, namespace, ttl) as store:
            yield store
        return
    temporary = _hidden(path.parent)
    try:
        with _called(path, temporary):
            with open_store(temporary, namespace=namespace, ttl=ttl) as store:
                yield store
            _place(temporary, path)
    finally:
        for end in ("", *_BESIDE):
            _beside(temporary, end).unlink(missing_ok=True)


def _missing(url: str) -> Path | None:
    """The file that is to be made, if that can be done under another name."""
    name = stores.sqlite_path(url)
    if name is None or "?" in url:
        return None
    path = Path(name)
    # SQLite knows of an empty file that it is new, and throws away an old log beside it. It would
    # put that of a file which had the same name into one that is complete.
    if os.path.lexists(path) or any(os.path.lexists(_beside(path, end)) for end in _LOG):
        return None
    return path if _has_links(path.parent) else None


def _has_links(folder: Path) -> bool:
    """Whether a file in the folder can get a second name, as it cannot on every file system."""
    one, other = _hidden(folder), _hidden(folder)
    try:
        one.touch(0o600, exist_ok=False)
        os.link(one, other)
    except OSError:
        return False
    finally:
        one.unlink(missing_ok=True)
        other.unlink(missing_ok=True)
    return True


def _place(temporary: Path, path: Path) -> None:
    log = [_beside(temporary, end) for end in _LOG]
    if any(file.exists() and file.stat().st_size for file in log):
        raise StoreFullError(f"{path}: the log could not be moved into the file; free some room")
    try:
        # Unlike a rename, it never takes the place of a file.
        os.link(temporary, path)
    except FileExistsError:
        raise ConflictError(
            f"{path} was made by another program meanwhile, and is as it was; repeat the command"
        ) from None
    from chatstore.sql.engine.sqlite.files import sync_folder

    sync_folder(path.parent)


@contextmanager
def _called(path: Path, temporary: Path) -> Iterator[None]:
    """Errors that speak of the file by the name that the user gave."""
    try:
        yield
    except ChatStoreError as error:
        if str(temporary) not in str(error):
            raise
        raise type(error)(str(error).replace(str(temporary), str(path))) from error


def _hidden(folder: Path) -> Path:
    """A name that nothing has."""
    begin, end = UNFINISHED
    return folder / f"{begin}{secrets.token_hex(8)}{end}"


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)
