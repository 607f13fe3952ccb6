"""Where an export goes: a path, written beside itself and renamed, or an open file."""

import errno
import gzip
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Never, cast

from chatstore.errors import StoreFullError, TransferError
from chatstore.transfer.names import UNFINISHED, Target, is_path

LEVEL = 6
"""Of compression."""

Write = Callable[[bytes], None]

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_REMEDIES = {
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "create the folder first",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.EISDIR: "name a file in that folder",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def writing(target: Target, *, compressed: bool) -> Iterator[Write]:
    """What writes to the target. When the block ends well, all is there; else the old file is.

    Raises:
        StoreFullError: There is no room left.
        TransferError: It cannot be written.
    """
    # Only the calls to the file are translated: what fails inside the block, such as a store
    # that is out of reach (an OSError as well), is not about the file.
    if not is_path(target):
        with _told("the file"):
            write = _to_file(cast(IO[Any], target))
        yield _guarded(write, "the file")
        with _told("the file"):
            # What does not fit is told here, not when the caller closes it.
            getattr(target, "flush", bool)()
        return
    path = os.fsdecode(cast(str, target))
    shown = repr(path)
    with _told(shown):
        file = _File(os.path.realpath(path), compressed)  # a link stays one
    try:
        yield _guarded(file.write, shown)
        with _told(shown):
            file.keep()
    except BaseException:
        file.drop()
        raise


class _File:
    """A path that is being written: beside itself, unless it is a pipe or a device."""

    def __init__(self, path: str, compressed: bool) -> None:
        self._path = path
        self._beside: str | None = None
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISREG(mode):
            # 0600 from the first byte on.
            prefix, suffix = UNFINISHED
            handle, self._beside = tempfile.mkstemp(suffix, prefix, os.path.dirname(path))
            self._file = open(handle, "wb")  # noqa: SIM115 - see keep and drop
        else:
            self._file = open(path, "wb")  # noqa: SIM115
        self._packer: gzip.GzipFile | None = None
        if compressed:
            # Neither a time nor a name, so that the same messages make the same bytes.
            self._packer = gzip.GzipFile("", "wb", LEVEL, self._file, mtime=0)

    def write(self, data: bytes) -> None:
        (self._packer or self._file).write(data)

    def keep(self) -> None:
        """Put it in its place, on the disk."""
        if self._packer is not None:
            self._packer.close()
        self._file.flush()
        if self._beside is not None:
            os.fsync(self._file.fileno())
        self._file.close()
        if self._beside is not None:
            os.replace(self._beside, self._path)
            self._beside = None
            if os.name == "posix":
                _sync_folder(os.path.dirname(self._path))

    def drop(self) -> None:
        """Leave nothing of it behind."""
        for part in (self._packer, self._file):
            if part is not None:
                with suppress(OSError, ValueError):
                    part.close()
        if self._beside is not None:
            with suppress(OSError):
                os.unlink(self._beside)


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has nothing to sync there
            raise
    finally:
        os.close(handle)


def _to_file(file: IO[Any]) -> Write:
    text = False
    try:
        file.write(b"")
    except TypeError:
        text = True
    except AttributeError:
        raise TransferError("the target is neither a path nor a file open for writing") from None

    write_some: Callable[[Any], int | None] = file.write

    def write(data: bytes) -> None:
        rest: Any = data.decode("ascii") if text else data
        while len(rest) > 0:
            # An unbuffered file may take a part; one that says nothing has taken all.
            taken = write_some(rest)
            rest = rest[len(rest) if taken is None else taken :]

    return write


def _guarded(write: Write, shown: str) -> Write:
    def guarded(data: bytes) -> None:
        with _told(shown):
            write(data)

    return guarded


@contextmanager
def _told(shown: str) -> Iterator[None]:
    """The system's errors as ours."""
    try:
        yield
    except TransferError:
        raise
    except (OSError, ValueError) as error:  # a ValueError: the file is closed
        _fail(shown, error)


def _fail(shown: str, error: Exception) -> Never:
    code = error.errno if isinstance(error, OSError) else None
    if code in _FULL:
        raise StoreFullError(
            f"there is no room left for the export to {shown}; free some, or export elsewhere; "
            "what stood there is as it was"
        ) from error
    reason = os.strerror(code) if code else str(error)
    remedy = _REMEDIES.get(code or 0, "export to another place")
    raise TransferError(f"cannot write {shown}: {reason}; {remedy}") from error
