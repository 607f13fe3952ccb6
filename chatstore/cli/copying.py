"""The command `copy`, and what `import` and `export` share with it."""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

from chatstore import ChatStore, TransferError, collector
from chatstore.cli import exits, stores
from chatstore.cli.fresh import open_filling
from chatstore.cli.parsing import Subparsers, add_json, command, namespace_of
from chatstore.cli.terminal import Terminal, number, plural
from chatstore.importers.between import CopyReport, copy_store

_CONFLICTS = ("error", "skip", "replace", "append")


def register(commands: Subparsers) -> None:
    """Add this command."""
    parser = command(
        commands,
        "copy",
        run_copy,
        "copy a whole store to another one, and compare them",
        "All or nothing; ids, times, metadata and ttls come along. Exit code 1 if the target does "
        "not hold what was read.",
        store=False,
    )
    parser.add_argument("source", metavar="SRC_URL")
    parser.add_argument("target", metavar="DST_URL")
    parser.add_argument("--namespace", metavar="NAME", help="of the source, and of the target too")
    parser.add_argument("--to-namespace", metavar="NAME", help="of the target, if it is another")
    add_conflict(parser)
    add_json(parser, "the numbers")


def add_conflict(parser: argparse.ArgumentParser) -> None:
    """Add `--on-conflict`."""
    parser.add_argument(
        "--on-conflict",
        choices=_CONFLICTS,
        default="error",
        help="what happens to a key that exists: error (the default), skip the new one, replace "
        "the old one, or append behind it",
    )


def run_copy(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore copy`."""
    namespace = namespace_of(args)
    to_namespace = namespace if args.to_namespace is None else args.to_namespace
    return copy(args, term, (args.source, namespace), (args.target, to_namespace), "copied")


def copy(
    args: argparse.Namespace,
    term: Terminal,
    source: tuple[str, str],
    target: tuple[str, str],
    verb: str,
) -> int:
    """Copy a store, as URL and namespace, into another one, and say so with a verb."""
    if source[1] == target[1]:
        refuse_same(source[0], target[0])
    began = time.perf_counter()
    with ExitStack() as stack:
        one = stack.enter_context(stores.open_reading(*source))
        other = stack.enter_context(open_filling(*target))
        report = _copy_stores(term, one, other, args.on_conflict)
    seconds = time.perf_counter() - began
    if args.json:
        term.data(asdict(report))
    else:
        _show_copy(term, report, verb, seconds)
    return exits.PROBLEMS if report.problems else exits.OK


def _copy_stores(
    term: Terminal, source: ChatStore, target: ChatStore, on_conflict: Any
) -> CopyReport:
    with (
        term.progress("copying") as copying,
        collector.paused(),
        in_words(),
    ):
        return copy_store(
            source, target, on_conflict=on_conflict, progress=copying, verifying=copying
        )


def _show_copy(term: Terminal, report: CopyReport, verb: str, seconds: float) -> None:
    moved = sizes(report.conversations, report.messages)
    term.line(f"{verb} {moved} {pace(report.messages, seconds)}")
    if report.skipped:
        term.line(f"skipped {plural(report.skipped, 'conversation')} whose keys exist")
    for problem in report.problems:
        term.line(problem, "red")
    if report.problems:
        term.note("The target was written to meanwhile, or has a fault: see `chatstore check`.")
    elif report.verified:
        compared = plural(report.verified, "conversation")
        term.line(f"read back {compared}: equal", "green")
        term.line(f"sha256 of the content: {report.digest}", "dim")


@contextmanager
def in_words() -> Iterator[None]:
    """What the library says of an argument, said of the option."""
    try:
        yield
    except TransferError as error:
        text = str(error).replace("import with on_conflict set to", "use --on-conflict with")
        raise TransferError(text.replace("rename it, or give format=", "rename it")) from None


def refuse_same(path: str, url: str) -> None:
    """Refuse to write over the store itself."""
    one, other = stores.sqlite_path(path), stores.sqlite_path(url)
    if one is None or other is None:
        same = path == url
    else:
        same = os.path.realpath(one) == os.path.realpath(other)
    if same and not path.startswith("memory://"):
        raise exits.CommandError(f"{stores.where(path)} is the store itself; name another place")


def sizes(conversations: int, messages: int) -> str:
    """How much was moved."""
    return f"{plural(messages, 'message')} in {plural(conversations, 'conversation')}"


def pace(messages: int, seconds: float) -> str:
    """How long it took."""
    rate = f", {number(round(messages / seconds))} messages/s" if messages >= 1000 else ""
    return f"in {seconds:.1f} s{rate}"
