"""Other processes for the tests, forked quickly by a server that has imported the store."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Not `fork`: the process that runs the tests has threads. Not `spawn`: importing takes 0.4 s each.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["pytest", "chatstore.sql.sqlite_database", "chatstore.sql.aio"])


def environment() -> dict[str, str]:
    """For a program that imports the checkout, wherever it runs."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def run_python(
    arguments: Sequence[str | Path], *, before: Sequence[str | Path] = (), **options: object
) -> subprocess.CompletedProcess[str]:
    """Run Python, perhaps under another program; its output is text."""
    command = [*map(str, before), sys.executable, *map(str, arguments)]
    return subprocess.run(  # type: ignore[call-overload,no-any-return]  # noqa: PLW1510
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, **options
    )
