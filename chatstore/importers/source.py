"""A foreign file, read with suspicion: every fault is a `TransferError` that names its place."""

import gzip
import io
import json
import os
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from functools import cached_property
from typing import IO, Any, NoReturn, cast

from chatstore.errors import TransferError

MAX_LINE = 64 << 20
"""Bytes that a line may take, so that a hostile file cannot take the memory."""

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_SQLITE = b"SQLite format 3\0"


class Source:
    """A file to import: plain, gzipped, or a zip archive with JSON files named like `member`.

    Args:
        path: The file. It is never created, and never written.
        member: In an archive, what the names of the files begin with.

    Example:
        >>> Source("nowhere.jsonl").first
        Traceback (most recent call last):
        chatstore.errors.TransferError: there is no file 'nowhere.jsonl' to import; check the path
    """

    def __init__(self, path: str | os.PathLike[str], member: str = "conversations") -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            raise TransferError(f"a file to import is named by its path, not {type(path).__name__}")
        self.path = os.fsdecode(path)
        if "\0" in self.path:
            raise TransferError("the path of a file to import holds NUL; check it")
        self.member = member

    @property
    def stem(self) -> str:
        """The name of the file without folders and suffixes."""
        return os.path.basename(self.path).partition(".")[0] or "import"

    def lines(self) -> Generator[tuple[int, str], None, None]:
        """Lines that are not blank, each with its number from 1 on; closing it closes the file."""
        number = 0
        try:
            with self._open() as file:
                while line := file.readline(MAX_LINE + 1):
                    number += 1
                    if len(line) > MAX_LINE:
                        self.fail(f"line {number}", f"takes more than {MAX_LINE} bytes")
                    text = self._decode(line, f"line {number}", first=number == 1)
                    if text.strip():
                        yield number, text
        except (OSError, EOFError, zlib.error) as error:
            self._unreadable(error)

    def rows(self) -> Generator[tuple[str, Any], None, None]:
        """The rows of a JSON array, or of JSON lines, each with how to call its place."""
        if self.in_lines:
            with closing(self.lines()) as lines:
                for number, text in lines:
                    place = f"line {number}"
                    yield place, self.parse(text, place)
        else:
            document = self.document
            if not isinstance(document, list):
                self.fail("the file", "holds no JSON array and no JSON lines")
            for item, row in enumerate(document, 1):
                yield f"item {item}", row

    @cached_property
    def document(self) -> Any:
        """The whole file as one JSON value; the arrays of an archive's files joined."""
        try:
            if self.archived:
                return self._joined()
            with self._open() as file:
                text = self._decode(file.read(), "the file", first=True)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            self._unreadable(error)
        if not text.strip():
            self.fail("the file", "is empty")
        return self.parse(text, "the file")

    @cached_property
    def first(self) -> Any:
        """The first row, or the whole document if it is one value: enough to tell what it is."""
        if self.in_lines:
            found = self._first_line
            return None if found is None else self.parse(found[1], f"line {found[0]}")
        document = self.document
        return document[0] if isinstance(document, list) and document else document

    @cached_property
    def archived(self) -> bool:
        """Whether it is a zip archive."""
        return self._head.startswith(_ZIP)

    @cached_property
    def is_database(self) -> bool:
        """Whether it is a SQLite database, by its first bytes or its name."""
        # By name first: reading a database that this process has open would drop its locks.
        if self.path.endswith((".db", ".sqlite", ".sqlite3")):
            return True
        return self._head.startswith(_SQLITE)

    def parse(self, text: str, place: str) -> Any:
        """The value of JSON text, refused where parsers disagree on what it says."""
        try:
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        except RecursionError:
            self.fail(place, "is nested too deep")
        except json.JSONDecodeError as error:
            where = place if place.startswith("line") else f"line {error.lineno}"
            self.fail(where, f"is not JSON: {error.msg} (column {error.colno})")
        except ValueError as error:
            own = str(error).startswith("holds ")  # else it is CPython's limit of digits
            self.fail(place, str(error) if own else "holds an integer of too many digits")

    def fail(self, place: str, what: str) -> NoReturn:
        """Raise for a fault of the file."""
        raise TransferError(f"{self.path}: {place} {what}; nothing was imported")

    @cached_property
    def _head(self) -> bytes:
        try:
            with open(self.path, "rb") as file:
                return file.read(16)
        except OSError as error:
            self._unreadable(error)

    @cached_property
    def in_lines(self) -> bool:
        """Whether it is JSON lines: the first line is a value, and no array of all rows."""
        if self.archived:
            return False
        found = self._first_line
        if found is None or found[1].lstrip()[:1] != "{":
            return False
        try:
            json.loads(found[1])
        except RecursionError:
            return True
        except ValueError:
            return found[1].strip() != "{"  # broken, or a document printed over many lines
        return True

    @cached_property
    def _first_line(self) -> tuple[int, str] | None:
        with closing(self.lines()) as lines:
            return next(lines, None)

    def _open(self) -> IO[bytes]:
        if self._head.startswith(_GZIP):
            return cast(IO[bytes], gzip.open(self.path, "rb"))
        return open(self.path, "rb")

    def _joined(self) -> list[Any]:
        rows: list[Any] = []
        with zipfile.ZipFile(self.path) as archive:
            names = [name for name in sorted(archive.namelist()) if self._is_member(name)]
            if not names:
                self.fail("the archive", f"holds no {self.member}*.json")
            for name in names:
                with archive.open(name) as file:
                    text = self._decode(io.BytesIO(file.read()).getvalue(), name, first=True)
                part = self.parse(text, name)
                if not isinstance(part, list):
                    self.fail(name, "holds no JSON array")
                rows += part
        return rows

    def _is_member(self, name: str) -> bool:
        return os.path.basename(name).startswith(self.member) and name.endswith(".json")

    def _decode(self, data: bytes, place: str, *, first: bool) -> str:
        try:
            return data.decode("utf-8-sig" if first else "utf-8")
        except UnicodeDecodeError as error:
            self.fail(place, f"is not UTF-8 (byte {error.start + 1})")

    def _unreadable(self, error: Exception) -> NoReturn:
        if isinstance(error, FileNotFoundError):
            raise TransferError(
                f"there is no file {self.path!r} to import; check the path"
            ) from None
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""
        raise TransferError(
            f"{self.path}: it cannot be read ({reason or 'damaged archive'}); nothing was imported"
        ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("holds an object with the same name twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"holds {name}, which is not JSON")
