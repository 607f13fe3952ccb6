"""Other processes for the tests, forked quickly by a server that has imported the store."""

import multiprocessing
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar, cast

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]

# Not `fork`: the process that runs the tests has threads. Not `spawn`: importing takes 0.4 s each.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        "pytest",
        "alembic.migration",
        "alembic.operations",
        "sqlalchemy.dialects.postgresql.psycopg",
        "psycopg",
        "chatstore.sql.engine.sqlite.database",
        "chatstore.sql.aio",
        "chatstore.cli.moving",
        "chatstore.cli.reading",
        "chatstore.importers",
    ]
)


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


def in_process(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """What a function of a module returns in another process; its exception, as text, is raised."""
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=_answer, args=(sender, function, args, kwargs))
    process.start()
    sender.close()
    try:
        value, failure = receiver.recv()
    except EOFError:
        value, failure = None, "the process died"
    finally:
        receiver.close()
        process.join()
        process.close()
    if failure is not None:
        raise AssertionError(failure)
    return cast(T, value)


def in_fork(function: Callable[..., object], /, *args: object) -> int:
    """How a fork of this very process ends that calls a function.

    It has all that is imported here, frameworks among it, which take seconds. It has none of the
    threads, so that the function may use nothing that they serve.
    """
    process = multiprocessing.get_context("fork").Process(target=function, args=args)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # since there are threads
        process.start()
    return ended(process)


def ended(process: BaseProcess) -> int:
    """How a process ends."""
    process.join(60)
    code = process.exitcode
    assert code is not None, "it does not end"
    process.close()
    return code


def _answer(
    sender: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    value, failure = None, None
    try:
        value = function(*args, **kwargs)
    except BaseException:  # noqa: BLE001
        failure = traceback.format_exc()
    sender.send((value, failure))
