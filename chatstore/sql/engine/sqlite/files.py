"""The database file from outside: made private, found to be remote, never opened.

Closing any descriptor of a file drops every POSIX lock that the process holds on it, SQLite's too.
So nothing here, and nothing in this library, opens, copies or hashes the live file: `stat` and
`chmod` on the path, and `O_EXCL` on a path that does not exist yet, are all that is safe.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Their shared memory is not shared between hosts, so that WAL would lose what others write.
_REMOTE = frozenset({
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "orangefs", "smb3", "smbfs", "virtiofs", "vboxsf",
})  # fmt: skip
_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.encfs"})


def create_private(path: Path) -> bool:
    """Makes an empty file that only its owner may read, and its folders; False if it exists."""
    _make_folders(path.parent)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        return True
    return False


def _make_folders(folder: Path) -> None:
    # `Path.mkdir(parents=True, mode=…)` gives the mode to the last folder only.
    if not folder.exists():
        _make_folders(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yields a private file beside `path`, which then takes its place durably, or is gone."""
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(fd)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes names in a folder durable, where the system can."""
    if sys.platform == "win32":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def is_remote(path: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Whether the file lies on a network file system, as far as the system tells."""
    if sys.platform == "win32":
        return path.drive.startswith("\\\\")
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    inside = f"{path}/"
    kind, deepest = "", 0
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        mount = _unescape(fields[1]).rstrip("/") + "/"
        # A later line covers an earlier one at the same place.
        if len(mount) >= deepest and inside.startswith(mount):
            kind, deepest = fields[2], len(mount)
    if kind.startswith("fuse."):
        return kind not in _LOCAL_FUSE
    return kind in _REMOTE


def _unescape(field: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, char)
    return field
