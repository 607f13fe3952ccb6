"""Commands that move conversations: import, export, copy."""

import argparse
import os
import sys
import time
from dataclasses import asdict
from typing import Any

from chatstore import ChatStore, TransferError, collector
from chatstore.cli import exits, piped, stores
from chatstore.cli.copying import add_conflict, copy, in_words, pace, refuse_same, sizes
from chatstore.cli.fresh import open_filling
from chatstore.cli.parsing import (
    Subparsers,
    add_json,
    command,
    namespace_of,
    seconds,
    url_of,
)
from chatstore.cli.terminal import Terminal, plural
from chatstore.importers import NAMES, SERVER_NAMES, ImportReport, import_file, import_server
from chatstore.importers.registry import (
    SERVER_SUMMARIES,
    guess,
    guess_database,
    summaries,
    table_of,
)
from chatstore.importers.source import Source
from chatstore.transfer import Progress

STORE = "store"
_KINDS = (*NAMES, *SERVER_SUMMARIES, STORE)


def register(commands: Subparsers) -> None:
    """Add these commands."""
    parser = command(
        commands, "import", run_import, "read conversations into the store, all of them or none"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _list_of_kinds()
    parser.add_argument(
        "source", metavar="SOURCE", help="a file, - for stdin, or the URL of a store"
    )
    parser.add_argument(
        "--from",
        dest="importer",
        choices=_KINDS,
        metavar="NAME",
        help="what SOURCE is, where the file does not tell; see below",
    )
    add_conflict(parser)
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


def _list_of_kinds() -> str:
    kinds = [*summaries(), (STORE, "a SQLite store, or the URL of a store")]
    wide = max(len(name) for name, _ in kinds)
    lines = "\n".join(f"  {name.ljust(wide)}  {what}" for name, what in kinds)
    return f"SOURCE, by the NAME of --from:\n{lines}\nFiles may be gzipped."


# import


def run_import(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore import`."""
    with piped.on_disk(args.source) as args.source:
        return _run_import(args, term)


def _run_import(args: argparse.Namespace, term: Terminal) -> int:
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
        open_filling(url_of(args), namespace_of(args), ttl=args.ttl) as store,
        term.progress(f"importing {name}") as update,
        collector.paused(),
        in_words(),
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
        f"imported {sizes(report.conversations, report.messages)} ({report.importer}) "
        f"{pace(report.messages, took)}"
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
    return copy(args, term, (args.source, namespace), (url, namespace), "imported")


# export


def run_export(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore export`."""
    url = url_of(args)
    refuse_same(args.path, url)
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
            _to_stdout(store, update)
            return exits.OK
        with in_words():
            report = store.export_json(args.path, progress=update)
    if args.json:
        facts = asdict(report)
        del facts["skipped"]
        term.data({**facts, "bytes": os.stat(args.path).st_size})
        return exits.OK
    term.line(
        f"exported {sizes(report.conversations, report.messages)} to {args.path} "
        f"{pace(report.messages, time.perf_counter() - began)}"
    )
    return exits.OK


def _to_stdout(store: ChatStore, progress: Progress) -> None:
    try:
        store.export_json(sys.stdout.buffer, format="jsonl", progress=progress)
    except TransferError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            raise error.__cause__ from None
        raise
