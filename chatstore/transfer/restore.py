"""From a file into a store."""

import os
from collections.abc import Callable
from typing import IO

from chatstore.transfer.stream import Format, OnConflict, Progress, Stream, TransferReport


def import_json(
    restore: Callable[[Callable[[], Stream], OnConflict], TransferReport],
    source: str | os.PathLike[str] | IO[bytes] | IO[str],
    *,
    on_conflict: OnConflict,
    format: Format | None,
    progress: Progress | None,
) -> TransferReport:
    """Read a file into a store."""
    raise NotImplementedError
