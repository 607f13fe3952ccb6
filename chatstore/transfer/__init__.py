"""Between stores and JSON files: backup and restore."""

from chatstore.transfer.export import export_json
from chatstore.transfer.restore import import_json
from chatstore.transfer.stream import (
    NEW,
    Format,
    OnConflict,
    Progress,
    Snapshot,
    Stream,
    TransferReport,
)

__all__ = [
    "NEW",
    "Format",
    "OnConflict",
    "Progress",
    "Snapshot",
    "Stream",
    "TransferReport",
    "export_json",
    "import_json",
]
