"""Between stores and JSON files: backup and restore."""

from chatstore.transfer.export import export_json
from chatstore.transfer.restore import import_json
from chatstore.transfer.stream import (
    Format,
    OnConflict,
    Progress,
    Snapshot,
    Stream,
    TransferReport,
)

__all__ = [
    "Format",
    "OnConflict",
    "Progress",
    "Snapshot",
    "Stream",
    "TransferReport",
    "export_json",
    "import_json",
]
