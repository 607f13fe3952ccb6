"""Between stores and JSON files: backup and restore.

What flows is in `stream`, and light; `export` and `restore` are imported when a file is written or
read.
"""

from chatstore.transfer.stream import (
    NEW,
    Format,
    OnConflict,
    Progress,
    Snapshot,
    Stream,
    TransferReport,
)

__all__ = ["NEW", "Format", "OnConflict", "Progress", "Snapshot", "Stream", "TransferReport"]
