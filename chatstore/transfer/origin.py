"""Where an import comes from: a path or an open file, read from its beginning as often as needed.

A file that cannot go back to its beginning, such as a pipe, is copied to a temporary one first:
it is then checked as a whole before a store is locked, and a slow sender locks nobody out.
"""

import gzip
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any, Self, cast

from chatstore.errors import TransferError
from chatstore.transfer.names import Target, is_path

BLOCK = 1 << 20
_IN_MEMORY = 8 << 20
_GZIP = b"\x1f\x8b"


class Origin:
    """The bytes to import. A context manager; it closes what it opened, and nothing else."""

    def __init__(self, source: Target) -> None:
        self._source = source
        self._kept = ExitStack()
        self._file: IO[Any]
        self._start = 0
        self.name = os.fsdecode(cast(str, source)) if is_path(source) else "the file"

    def __enter__(self) -> Self:
        with self._told():
            file = cast(IO[Any], self._source)
            if is_path(self._source):
                file = self._kept.enter_context(open(cast(str, self._source), "rb"))
            self._file = self._rewindable(file)
            self._start = 0 if self._file is not file else file.tell()
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def blocks(self, *, unpack: bool) -> Iterator[bytes]:
        """All of it from the beginning, in blocks; unpacked, if it is gzip and may be."""
        with self._told():
            self._file.seek(self._start)
            packed = unpack and self._file.read(2) == _GZIP
            self._file.seek(self._start)
            file: IO[Any] = (
                cast(IO[Any], gzip.GzipFile(fileobj=self._file, mode="rb"))
                if packed
                else self._file
            )
            read = _reader(file)
        while True:
            with self._told():
                block = read()
            if not block:
                return
            yield block

    def error(self, line: int | None, reason: str) -> TransferError:
        """What is wrong with it."""
        place = "" if line is None else f"line {line}: "
        return TransferError(f"{self.name}: {place}{reason}; nothing was imported")

    def _rewindable(self, file: IO[Any]) -> IO[Any]:
        if not hasattr(file, "read"):
            raise TransferError("the source is neither a path nor a file open for reading")
        if getattr(file, "seekable", bool)():
            return file
        copy = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed with all of this
        self._kept.enter_context(copy)
        read = _reader(file)
        while block := read():
            try:
                copy.write(block)
            except OSError as error:
                raise TransferError(
                    f"{self.name}: there is no room for a copy in {tempfile.gettempdir()!r} "
                    f"({error.strerror}); free some, or import from a file on disk"
                ) from error
        return cast(IO[Any], copy)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except TransferError:
            raise
        except FileNotFoundError:
            raise TransferError(f"{self.name}: there is no such file; check the path") from None
        except UnicodeError:
            raise self.error(None, "it is not UTF-8; open it in binary mode to see where") from None
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise self.error(
                None, "its gzip data is cut short or damaged; get a whole copy"
            ) from None
        except (OSError, ValueError) as error:  # a ValueError: the file is closed
            code = error.errno if isinstance(error, OSError) else None
            reason = os.strerror(code) if code else str(error)
            raise TransferError(
                f"{self.name}: it cannot be read: {reason}; check the file"
            ) from error


def _reader(file: IO[Any]) -> Callable[[], bytes]:
    """What reads the next block, as bytes whatever the file gives."""

    def read() -> bytes:
        block = file.read(BLOCK)
        return block.encode() if isinstance(block, str) else block or b""

    return read
