"""The program: from the words of a command line to an exit code."""

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from chatstore._version import __version__
from chatstore.cli import ending, exits
from chatstore.cli.clean import one_line
from chatstore.cli.parsing import Parser, add_store
from chatstore.cli.terminal import Terminal

_COMMANDS = ("listing", "reading", "writing", "moving", "copying", "schema", "doctor", "demo")
_LINKS = "Errors are one line and an exit code; CHATSTORE_DEBUG=1 shows where they come from."


def build_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(
        prog="chatstore",
        description="Look into a store of chat history, move it, keep it in order.",
        epilog=_LINKS,
    )
    parser.add_argument("--version", action="version", version=f"chatstore {__version__}")
    add_store(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name in _COMMANDS:
        import_module(f"chatstore.cli.{name}").register(commands)
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit code; no exception comes out of it.

    Args:
        words: The words behind `chatstore`; `None`: those of this process.

    Example:
        >>> main(["list", "--url", "memory://"])
        no conversations
        0
    """
    _have_streams()
    try:
        with ending.in_order(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = _run(words)
        sys.stdout.flush()
    except ending.Ended as error:
        _complain(f"ended by {error.name}")
        return error.code
    except KeyboardInterrupt:
        _complain("interrupted")
        return exits.INTERRUPTED
    except BrokenPipeError:
        # Who read our output has left, as `head` does. Python would complain again at its end.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  # the last door: nothing gets past it as a traceback
        return _report(error)
    return code


def _have_streams() -> None:
    """Python has none of a stream that was closed when it began, as `>&-` does."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - to the end


def _run(words: Sequence[str] | None) -> int:
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets an escape, not an exception.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = build_parser()
    try:
        args: Any = parser.parse_args(words)
    except SystemExit:  # --help and --version have been printed; a wrong word raises otherwise
        return exits.OK
    if args.command is None:
        parser.print_help()
        return exits.USAGE
    return int(args.run(args, Terminal(json=getattr(args, "json", False))))


def _report(error: Exception) -> int:
    code = exits.code_of(error)
    if os.environ.get("CHATSTORE_DEBUG"):
        sys.stderr.write(_hidden(traceback.format_exception(error)))
    text = str(error) or type(error).__name__
    if code == exits.BUG:
        text = (
            f"{type(error).__name__}: {text} (this is a bug; run again with CHATSTORE_DEBUG=1 and "
            "report what it prints)"
        )
    elif isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        text = f"{name}{error.strerror.lower()} (check the disk and the permissions)"
    _complain(f"error: {text}")
    return code


def _hidden(lines: list[str]) -> str:
    return "".join(f"{one_line(line)}\n" for text in lines for line in text.splitlines())


def _complain(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        sys.stderr.write(f"chatstore: {one_line(text)}\n")


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    _complain(f"warning: {message}")
