"""From a store to a file."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import IO

from chatstore.transfer.stream import Format, Progress, Snapshot, TransferReport


def export_json(
    snapshot: Callable[[], AbstractContextManager[Snapshot]],
    target: str | os.PathLike[str] | IO[bytes] | IO[str],
    *,
    source: str,
    format: Format | None,
    progress: Progress | None,
) -> TransferReport:
    """Write a snapshot to a file; `source` names the store in the header."""
    raise NotImplementedError
