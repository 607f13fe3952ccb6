"""From a file into a store."""

import os
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from chatstore.errors import DuplicateMessageError
from chatstore.transfer import names
from chatstore.transfer.lines_in import LineFile
from chatstore.transfer.origin import Origin
from chatstore.transfer.stream import Format, OnConflict, Progress, Stream, TransferReport

if TYPE_CHECKING:
    from chatstore.transfer.document_in import Document

_ON_CONFLICT = ("error", "skip", "replace", "append")


def import_json(
    restore: Callable[[Callable[[], Stream], OnConflict], TransferReport],
    source: str | os.PathLike[str] | IO[bytes] | IO[str],
    *,
    on_conflict: OnConflict,
    format: Format | None,
    progress: Progress | None,
) -> TransferReport:
    """Read a file into a store.

    Raises:
        TransferError: The file cannot be read, or not be stored; nothing was.
        ValueError: No such `on_conflict`.
    """
    if on_conflict not in _ON_CONFLICT:
        raise ValueError(f"on_conflict is one of {', '.join(_ON_CONFLICT)}, not {on_conflict!r}")
    shape, _ = names.shape(source, format)
    with Origin(source) as origin:
        file: LineFile | Document
        if shape == "jsonl":
            file = LineFile(origin, progress)
        else:
            from chatstore.transfer import document_in

            file = document_in.Document(origin, progress)
        file.check()
        try:
            report = restore(file.stream, on_conflict)
        except DuplicateMessageError as error:
            raise origin.error(*file.clash(error)) from None
        if progress is not None:
            progress(file.messages, file.messages)
        return report
