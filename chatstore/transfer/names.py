"""What the name of a file says: which shape it has, or that it is not complete."""

import os
from typing import IO, Any

from chatstore.errors import TransferError
from chatstore.transfer.stream import Format

Target = str | os.PathLike[str] | IO[bytes] | IO[str]

UNFINISHED = (".chatstore-", ".tmp")
"""How a name begins and ends until the file is complete, and gets its own."""


def is_path(target: Any) -> bool:
    """Whether it names a file, and is none."""
    return isinstance(target, str | bytes | os.PathLike)


def shape(target: Target, format: Format | None) -> tuple[Format, bool]:
    """The format of a file, and whether it is compressed.

    Raises:
        TransferError: Neither its name nor `format` says it.
    """
    if format not in (None, "json", "jsonl"):
        raise TransferError(f"format is 'json' or 'jsonl', not {format!r}")
    if not is_path(target):
        if format is None and not (hasattr(target, "read") or hasattr(target, "write")):
            kind = type(target).__name__
            raise TransferError(f"a file is named by its path, or open, and no {kind}")
        if format is None:
            raise TransferError("an open file has no name that says its format; give format=")
        return format, False
    name = os.fsdecode(target).lower()  # type: ignore[arg-type]  # a path, as was asked above
    compressed = name.endswith(".gz")
    stem = name.removesuffix(".gz")
    said: Format | None = format
    if said is None and stem.endswith(".jsonl"):
        said = "jsonl"
    elif said is None and stem.endswith(".json"):
        said = "json"
    if said is None or (said == "json" and compressed):
        raise TransferError(
            f"{os.fsdecode(target)!r}: "  # type: ignore[arg-type]
            "the name of a file ends with .json, .jsonl or .jsonl.gz; rename it, or give format="
        )
    return said, compressed
