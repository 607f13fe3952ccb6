"""What comes through a pipe: kept in a file, for an import reads it more than once."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from chatstore.cli import exits
from chatstore.errors import TransferError

STDIN = "-"


@contextmanager
def on_disk(source: str) -> Iterator[str]:
    """The path of what is to be imported: its own, or that of a copy that goes afterwards."""
    if source != STDIN and not _passes_once(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="chatstore-") as folder:
        path = os.path.join(folder, "stdin" if source == STDIN else os.path.basename(source))
        try:
            with open(path, "xb") as copy:
                if source == STDIN:
                    shutil.copyfileobj(sys.stdin.buffer, copy)
                else:
                    with open(source, "rb") as pipe:
                        shutil.copyfileobj(pipe, copy)
        except OSError as error:
            where = os.path.dirname(folder)
            raise exits.CommandError(
                f"what comes through the pipe cannot be kept in {where} ({error.strerror}); make "
                "room there, or set TMPDIR to a folder with more; nothing was imported",
                exits.SYSTEM,
            ) from None
        try:
            yield path
        except TransferError as error:
            raise TransferError(str(error).replace(folder + os.sep, "")) from None


def _passes_once(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)
