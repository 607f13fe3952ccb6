"""Lets the examples in docstrings `await`, as they may in `python -m asyncio`, and cleans up.

It stands here, and not in tests/, because the docstrings are those of the package.
"""

import ast
import asyncio
import builtins
import doctest
import inspect
import signal
import tempfile
from collections.abc import Generator
from types import CodeType, FunctionType
from typing import Any

import pytest

_runner: asyncio.Runner | None = None


def _compile(source: str, filename: str, mode: str, flags: int, dont_inherit: bool) -> CodeType:
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code: CodeType = builtins.compile(source, filename, mode, flags, dont_inherit)
    return code


def _execute(code: CodeType, names: dict[str, Any]) -> None:
    global _runner  # noqa: PLW0603
    if not code.co_flags & inspect.CO_COROUTINE:
        builtins.exec(code, names)
        return
    # One loop for all examples of a docstring: what one opens, the next may use.
    _runner = _runner or asyncio.Runner()
    _runner.run(FunctionType(code, names)())


def pytest_sessionstart() -> None:
    """Begin as from a terminal, and without an event loop."""
    # Else LlamaIndex makes one in the main thread and leaves it open.
    asyncio.set_event_loop(None)
    # What a shell starts in the background ignores Ctrl-C, and so would the programs under test.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Remove the temporary folders that a docstring makes: its reader has better things to read."""
    if not isinstance(item, pytest.DoctestItem):
        return (yield)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """End the docstring's loop."""
    global _runner  # noqa: PLW0603
    if _runner is not None:
        _runner.close()
        _runner = None


# doctest calls both by their bare names, and offers no other place to step in.
vars(doctest).update(compile=_compile, exec=_execute)
