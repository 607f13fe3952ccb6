"""From a store to a file."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import IO

from chatstore.transfer import lines, names, sink
from chatstore.transfer.stream import Format, Progress, Snapshot, TransferReport


def export_json(
    snapshot: Callable[[], AbstractContextManager[Snapshot]],
    target: str | os.PathLike[str] | IO[bytes] | IO[str],
    *,
    source: str,
    format: Format | None,
    progress: Progress | None,
) -> TransferReport:
    """Write a snapshot to a file; `source` names the store in the header.

    Raises:
        TransferError: The name says no format; the file cannot be written.
        StoreFullError: There is no room for it.
    """
    shape, compressed = names.shape(target, format)
    write = lines.write
    if shape == "json":
        from chatstore.transfer import document  # late: it has pydantic build models

        write = document.write
    # The target first: a folder that is missing is told before a snapshot is held.
    with sink.writing(target, compressed=compressed) as to, snapshot() as held:
        return write(held, to, source, progress)
