"""Commands that move conversations: import, export, copy."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

from chatstore import ChatStore, TransferError, codec
from chatstore.cli import exits, stores
from chatstore.cli.parsing import (
    Subparsers,
    add_json,
    command,
    namespace_of,
    seconds,
    url_of,
)
from chatstore.cli.terminal import Terminal, number, plural
from chatstore.importers import NAMES, SERVER_NAMES, ImportReport, import_file, import_server
from chatstore.importers.between import CopyReport, copy_store
from chatstore.importers.registry import (
    SERVER_SUMMARIES,
    guess,
    guess_database,
    summaries,
    table_of,
)
from chatstore.importers.source import Source

STORE = "store"
_KINDS = (*NAMES, *SERVER_SUMMARIES, STORE)
_CONFLICTS = ("error", "skip", "replace", "append")


def register(commands: Subparsers) -> None:
    """Add these commands."""
    parser = command(
        commands, "import", run_import, "read conversations into the store, all of them or none"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _list_of_kinds()
    parser.add_argument("source", metavar="SOURCE", help="a file, or the URL of a store")
    parser.add_argument(
        "--from",
        dest="importer",
        choices=_KINDS,
        metavar="NAME",
        help="what SOURCE is, where the file does not tell; see below",
    )
    _add_conflict(parser)
    parser.add_argument(
        "--key-prefix",
        metavar="TEXT",
        help="what keys begin with (the file's name, for files that name no conversations)",
    )
    parser.add_argument(
        "--ttl", type=seconds, metavar="SECONDS", help="of the conversations, where SOURCE has none"
    )
    add_json(parser, "the numbers")

    parser = command(
        commands,
        "export",
        run_export,
        "write all conversations to a file",
        "PATH ends in .json (LlamaIndex reads it), .jsonl or .jsonl.gz (constant memory, with a "
        "digest); - is stdout, as JSON lines. An old file is replaced only when the new one is "
        "complete.",
    )
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("--no-clobber", action="store_true", help="refuse a PATH that exists")
    add_json(parser, "the numbers")

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
    _add_conflict(parser)
    add_json(parser, "the numbers")


def _list_of_kinds() -> str:
    kinds = [*summaries(), (STORE, "a SQLite store, or the URL of a store")]
    wide = max(len(name) for name, _ in kinds)
    lines = "\n".join(f"  {name.ljust(wide)}  {what}" for name, what in kinds)
    return f"SOURCE, by the NAME of --from:\n{lines}\nFiles may be gzipped."


def _add_conflict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--on-conflict",
        choices=_CONFLICTS,
        default="error",
        help="what happens to a key that exists: error (the default), skip the new one, replace "
        "the old one, or append behind it",
    )


# import


def run_import(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore import`."""
    url, namespace = url_of(args), namespace_of(args)
    path = args.source
    if "://" in path and args.importer and table_of(args.importer):
        path = stores.sqlite_path(path) or path  # the file of another program is no store
    if args.importer in SERVER_NAMES and ("://" in path or args.importer not in NAMES):
        return _import(args, term, args.importer, None)
    if "://" in path or args.importer == STORE:
        return _import_store(args, term, url, namespace)
    source = Source(path)
    if args.importer is None and source.is_database and guess_database(source) is None:
        return _import_store(args, term, url, namespace)
    # Known before the store is opened, so that nothing is created for a file that is not there.
    return _import(args, term, args.importer or guess(source), source)


def _import(args: argparse.Namespace, term: Terminal, importer: str, source: Source | None) -> int:
    """Import a file, or without a `source` what another program keeps in a server."""
    if source is None and args.key_prefix is not None:
        raise exits.CommandError("a server names its keys; leave out --key-prefix")
    began = time.perf_counter()
    name = stores.where(args.source) if source is None else os.path.basename(args.source)
    with (
        stores.open_writing(url_of(args), namespace_of(args), ttl=args.ttl) as store,
        term.progress(f"importing {name}") as update,
        codec.collector_paused(),
        _conflicts_in_words(),
    ):
        common: dict[str, Any] = {"on_conflict": args.on_conflict, "progress": update}
        if source is None:
            report = import_server(store, args.source, importer, **common)
        else:
            report = import_file(store, source, importer, key_prefix=args.key_prefix, **common)
    if args.json:
        term.data(asdict(report))
    else:
        _show_import(term, report, time.perf_counter() - began)
    return exits.OK


def _show_import(term: Terminal, report: ImportReport, took: float) -> None:
    term.line(
        f"imported {_sizes(report.conversations, report.messages)} ({report.importer}) "
        f"{_pace(report.messages, took)}"
    )
    if report.skipped:
        term.line(f"skipped {plural(report.skipped, 'conversation')} whose keys exist")
    if report.empty:
        term.line(f"left out {plural(report.empty, 'conversation')} without messages")


def _import_store(args: argparse.Namespace, term: Terminal, url: str, namespace: str) -> int:
    if args.key_prefix is not None:
        raise exits.CommandError("a store names its keys; leave out --key-prefix")
    if args.ttl is not None:
        raise exits.CommandError("a store tells its ttls; leave out --ttl")
    if args.importer not in (None, STORE):
        raise exits.CommandError(
            f"{stores.where(args.source)} is a store, not a file; leave out --from {args.importer}"
        )
    return _copy(args, term, (args.source, namespace), (url, namespace), "imported")


# export


def run_export(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore export`."""
    url = url_of(args)
    _refuse_same(args.path, url)
    if args.no_clobber and os.path.exists(args.path):
        raise exits.CommandError(f"{args.path} exists; choose another name, or leave --no-clobber")
    began = time.perf_counter()
    with (
        stores.open_reading(url, namespace_of(args)) as store,
        term.progress(f"exporting to {os.path.basename(args.path)}") as update,
    ):
        if args.path == "-":
            if args.json:
                raise exits.CommandError("stdout holds the export; leave out --json")
            store.export_json(sys.stdout.buffer, format="jsonl", progress=update)
            return exits.OK
        report = store.export_json(args.path, progress=update)
    if args.json:
        facts = asdict(report)
        del facts["skipped"]
        term.data({**facts, "bytes": os.stat(args.path).st_size})
        return exits.OK
    term.line(
        f"exported {_sizes(report.conversations, report.messages)} to {args.path} "
        f"{_pace(report.messages, time.perf_counter() - began)}"
    )
    return exits.OK


# copy


def run_copy(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore copy`."""
    namespace = args.namespace or ""
    to_namespace = namespace if args.to_namespace is None else args.to_namespace
    return _copy(args, term, (args.source, namespace), (args.target, to_namespace), "copied")


def _copy(
    args: argparse.Namespace,
    term: Terminal,
    source: tuple[str, str],
    target: tuple[str, str],
    verb: str,
) -> int:
    if source[1] == target[1]:
        _refuse_same(source[0], target[0])
    began = time.perf_counter()
    with ExitStack() as stack:
        one = stack.enter_context(stores.open_reading(*source))
        other = stack.enter_context(stores.open_writing(*target))
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
        codec.collector_paused(),
        _conflicts_in_words(),
    ):
        return copy_store(
            source, target, on_conflict=on_conflict, progress=copying, verifying=copying
        )


def _show_copy(term: Terminal, report: CopyReport, verb: str, seconds: float) -> None:
    sizes = _sizes(report.conversations, report.messages)
    term.line(f"{verb} {sizes} {_pace(report.messages, seconds)}")
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
def _conflicts_in_words() -> Iterator[None]:
    """What the library says of an argument, said of the option."""
    try:
        yield
    except TransferError as error:
        text = str(error).replace("import with on_conflict set to", "use --on-conflict with")
        raise TransferError(text) from None


def _refuse_same(path: str, url: str) -> None:
    one, other = stores.sqlite_path(path), stores.sqlite_path(url)
    if one is None or other is None:
        same = path == url
    else:
        same = os.path.realpath(one) == os.path.realpath(other)
    if same and not path.startswith("memory://"):
        raise exits.CommandError(f"{stores.where(path)} is the store itself; name another place")


def _sizes(conversations: int, messages: int) -> str:
    return f"{plural(messages, 'message')} in {plural(conversations, 'conversation')}"


def _pace(messages: int, seconds: float) -> str:
    rate = f", {number(round(messages / seconds))} messages/s" if messages >= 1000 else ""
    return f"in {seconds:.1f} s{rate}"
