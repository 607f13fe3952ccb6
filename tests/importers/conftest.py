import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatStore, open_store

Write = Callable[..., Path]


@pytest.fixture
def store() -> Iterator[ChatStore]:
    with open_store("memory://") as store:
        yield store


@pytest.fixture
def lines(tmp_path: Path) -> Write:
    def write(*rows: Any, name: str = "data.jsonl") -> Path:
        path = tmp_path / name
        texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return path

    return write


@pytest.fixture
def document(tmp_path: Path) -> Write:
    def write(value: Any, name: str = "data.json", indent: int | None = None) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(value, indent=indent), encoding="utf-8")
        return path

    return write
