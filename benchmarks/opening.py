"""What does it cost to import the library, and to open a current file?"""

import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.harness import Answer, absolute, at_most, folder, seconds
from chatstore import open_store


def answers() -> Iterator[Answer]:
    yield at_most(
        "import chatstore, beside import pydantic",
        1.5,
        lambda: _took("import chatstore"),
        lambda: _took("import pydantic"),
        rounds=15,
        unit="ms",
    )
    # Both import what they export when it is asked for: what a program that asks pays for.
    yield at_most(
        "import ChatMessage and open_store, beside pydantic and one model",
        1.5,
        lambda: _took("from chatstore import ChatMessage, open_store"),
        lambda: _took("import pydantic\nclass M(pydantic.BaseModel):\n  x: int"),
        rounds=15,
        unit="ms",
    )
    with folder() as here:
        path = here / "chat.db"
        open_store(path).close()
        times = [seconds(lambda: open_store(path).close(), 1) for _ in range(50)]
        took = statistics.median(times) * 1000
        yield absolute("open a current file and close it", 10, took, "ms")


def _took(code: str) -> float:
    """Seconds, in a process of its own."""
    lines = ("import time", "t = time.perf_counter()", code)
    program = "\n".join((*lines, "print(time.perf_counter() - t)"))
    command = [sys.executable, "-c", program]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
