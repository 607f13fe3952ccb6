"""What does it cost to import the library, and to open a current file?"""

import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.harness import Answer, absolute, at_most, folder, seconds
from chatstore import open_store


def answers() -> Iterator[Answer]:
    yield at_most(
        "import chatstore, beside pydantic and one model",
        1.5,
        lambda: _import("chatstore"),
        lambda: _import("pydantic\nclass M(pydantic.BaseModel):\n  x: int"),
        unit="ms",
    )
    with folder() as here:
        path = here / "chat.db"
        open_store(path).close()
        times = [seconds(lambda: open_store(path).close(), 1) for _ in range(50)]
        took = statistics.median(times) * 1000
        yield absolute("open a current file and close it", 10, took, "ms")


def _import(names: str) -> float:
    lines = ("import time", "t = time.perf_counter()", f"import {names}")
    program = "\n".join((*lines, "print(time.perf_counter() - t)"))
    command = [sys.executable, "-c", program]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
