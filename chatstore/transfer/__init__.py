"""Between stores and JSON files: backup and restore.

What flows is in `stream`, and light; `export` and `restore` are imported when a file is written or
read.
"""

from chatstore.transfer.stream import (
    NEW,
    Accompanied,
    Format,
    OnConflict,
    Progress,
    Snapshot,
    Stream,
    TransferReport,
    accompanied,
    alone,
)

__all__ = [
    "NEW",
    "Accompanied",
    "Format",
    "OnConflict",
    "Progress",
    "Snapshot",
    "Stream",
    "TransferReport",
    "accompanied",
    "alone",
]
