"""The grammar that all commands share: where the store is, and how the answer is to look."""

import argparse
import math
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from chatstore.cli import exits
from chatstore.cli.terminal import Terminal

Run = Callable[[argparse.Namespace, Terminal], int]
Subparsers = Any
"""What `add_subparsers` returns; argparse gives it no public name."""


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose complaints are errors like all others."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise, instead of printing a page of usage."""
        raise exits.CommandError(f"{message} (see `{self.prog} --help`)")

    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse's own says nothing when the output cannot be written.
        (file or sys.stderr).write(message)


def command(
    commands: Subparsers,
    name: str,
    run: Run,
    summary: str,
    details: str = "",
    *,
    store: bool = True,
) -> argparse.ArgumentParser:
    """Add a command.

    Args:
        commands: Where to.
        name: What the user types.
        run: What it does; returns the exit code.
        summary: One line, for the list of commands.
        details: What `--help` says besides.
        store: Whether it works on the store of `--url`.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {details}".strip(),
    )
    parser.set_defaults(run=run)
    if store:
        add_store(parser)
    return parser


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add `--url` and `--namespace`; given before the command, they hold for it too."""
    group = parser.add_argument_group("store")
    group.add_argument(
        "--url",
        metavar="URL",
        default=argparse.SUPPRESS,
        help="chat.db, sqlite:///chat.db, postgresql://… or redis://… (else: CHATSTORE_URL)",
    )
    group.add_argument(
        "--namespace",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="look only at this namespace of the store (else: CHATSTORE_NAMESPACE, or none)",
    )


def add_positional_url(parser: argparse.ArgumentParser) -> None:
    """Let the URL stand behind the command too, as in `chatstore upgrade chat.db`."""
    parser.add_argument("place", nargs="?", metavar="URL", help="the same as --url")


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON")


def url_of(args: argparse.Namespace) -> str:
    """The URL that a command works on."""
    url = getattr(args, "place", None) or getattr(args, "url", None)
    url = url or os.environ.get("CHATSTORE_URL")
    if not url:
        raise exits.CommandError("which store? Say it with --url chat.db, or set CHATSTORE_URL")
    return str(url)


def namespace_of(args: argparse.Namespace) -> str:
    """The namespace that a command works in."""
    found = getattr(args, "namespace", None)
    return os.environ.get("CHATSTORE_NAMESPACE", "") if found is None else str(found)


def count(text: str) -> int:
    """A number of things, for argparse."""
    value = int(text) if text.strip().lstrip("-").isdigit() else -1
    if value < 0:
        raise argparse.ArgumentTypeError("must be a whole number, 0 or more")
    return value


def seconds(text: str) -> float:
    """A ttl, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError("must be a number of seconds, more than 0")
    return int(value) if value == int(value) else value
