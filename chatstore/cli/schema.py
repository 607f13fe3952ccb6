"""Commands about the schema of a SQL store, and the one that looks for damage."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatstore.cli import exits, stores
from chatstore.cli.parsing import (
    Subparsers,
    add_json,
    add_positional_url,
    command,
    namespace_of,
    url_of,
)
from chatstore.cli.terminal import Terminal, plural

if TYPE_CHECKING:
    from chatstore.sql.engine import Database
    from chatstore.sql.schema import Change


def register(commands: Subparsers) -> None:
    """Add these commands."""
    parser = command(
        commands,
        "upgrade",
        run_upgrade,
        "bring the schema of a SQL store to this version",
        "A SQLite file that holds conversations is copied beside itself first.",
    )
    add_positional_url(parser)
    parser.add_argument("--to", metavar="REVISION", default="head", help="head, unless told")
    parser.add_argument("--no-backup", action="store_true", help="do not copy a SQLite file first")
    add_json(parser, "what was done")

    parser = command(
        commands,
        "downgrade",
        run_downgrade,
        "take the schema back to an older revision",
        "What the older schema has no place for is lost; a SQLite file is copied first. "
        "`--to base` removes the tables with all that they hold.",
    )
    add_positional_url(parser)
    parser.add_argument("--to", metavar="REVISION", required=True, help="a revision, or base")
    parser.add_argument("--yes", action="store_true", help="do it: it may lose data")
    add_json(parser, "what was done")

    parser = command(commands, "current", run_current, "show the schema revision of a SQL store")
    add_positional_url(parser)
    add_json(parser, "the revision")

    parser = command(
        commands,
        "history",
        run_history,
        "list the schema revisions that this version knows",
        "With a URL, marks the one that the store has.",
    )
    add_positional_url(parser)
    add_json(parser, "a line per revision")

    parser = command(
        commands,
        "check",
        run_check,
        "look for damage in the schema, the database and the messages",
        "Nothing is repaired. Exit code 1 if there are problems.",
    )
    add_positional_url(parser)
    add_json(parser, "the report")


def run_upgrade(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore upgrade`."""
    url = url_of(args)
    with _database(url, "upgrade") as database:
        from chatstore.sql import schema

        change = schema.upgrade(database, args.to, backup=not args.no_backup)
    _show_change(args, term, url, change)
    return exits.OK


def run_downgrade(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore downgrade`."""
    if not args.yes:
        raise exits.CommandError("downgrade may lose data; add --yes to do it")
    url = url_of(args)
    stores.require_file(url)
    with _database(url, "downgrade") as database:
        from chatstore.sql import schema

        change = schema.downgrade(database, args.to)
    _show_change(args, term, url, change)
    return exits.OK


def run_current(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore current`."""
    url = url_of(args)
    stores.require_file(url)
    with _database(url, "current", reading=True) as database:
        from chatstore.sql import schema

        found = schema.current(database)
        head = schema.HEAD
    if args.json:
        term.data({"url": stores.where(url), "current": found, "head": head})
    elif found == head:
        term.line(f"{found} (head)")
    else:
        term.line(found or "base (no tables of chatstore)")
        term.note(f"head is {head}: run `chatstore upgrade {stores.where(url)}`")
    return exits.OK


def run_history(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore history`."""
    from chatstore.sql import schema

    url = getattr(args, "place", None) or getattr(args, "url", None)
    found = None
    if url:
        stores.require_file(url)
        with _database(url, "history", reading=True) as database:
            found = schema.current(database)
    rows = []
    for step in schema.history():
        marks = [
            mark
            for mark, revision in (("head", schema.HEAD), ("current", found))
            if revision == step.revision
        ]
        rows.append((step.revision, ", ".join(marks), step.summary))
        if args.json:
            term.data({"revision": step.revision, "marks": marks, "summary": step.summary})
    if not args.json:
        term.table((("revision", "left"), ("", "left"), ("what it brings", "left")), rows)
    return exits.OK


def run_check(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore check`."""
    url = url_of(args)
    stores.require_file(url)
    drift = schema_problems(url)
    with (
        stores.open_reading(url, namespace_of(args)) as store,
        term.progress("checking", "") as _,
    ):
        report = store.check()
    problems = [*drift, *report.problems]
    if args.json:
        term.data(
            {
                "url": stores.where(url),
                "ok": not problems,
                "conversations": report.conversations,
                "messages": report.messages,
                "problems": problems,
            }
        )
        return exits.PROBLEMS if problems else exits.OK
    for problem in problems:
        term.line(problem, "red")
    looked = (
        f"{plural(report.messages, 'message')} in {plural(report.conversations, 'conversation')}"
    )
    if problems:
        term.line(f"{plural(len(problems), 'problem')}; looked at {looked}", "red")
        term.note(
            "Keep a copy of the store; `chatstore export` saves what can be read, and a backup "
            "brings back the rest."
        )
        return exits.PROBLEMS
    term.line(f"no problems in {looked}", "green")
    return exits.OK


def schema_problems(url: str) -> list[str]:
    """How the schema differs from what it should be; `[]` for a store without one."""
    if not is_sql(url):
        return []
    with _database(url, "check", reading=True) as database:
        from chatstore.sql import schema

        return schema.check(database)


def is_sql(url: str) -> bool:
    """Whether a URL is that of a store with a schema."""
    scheme, found, _ = url.partition("://")
    return not found or scheme.partition("+")[0].lower() in ("sqlite", "postgresql", "postgres")


@contextmanager
def _database(url: str, verb: str, *, reading: bool = False) -> "Iterator[Database]":
    if not is_sql(url):
        scheme = url.partition("://")[0]
        raise exits.CommandError(f"a {scheme}:// store has no schema; `{verb}` is for SQL stores")
    from chatstore.sql.engine import open_database

    # Reading never writes, not even the journal mode of a file that is another program's.
    database = open_database(stores.target(url), read_only=reading, create=not reading)
    try:
        yield database
    finally:
        database.close()


def _show_change(args: argparse.Namespace, term: Terminal, url: str, change: "Change") -> None:
    backup = None if change.backup is None else str(change.backup)
    if args.json:
        term.data(
            {
                "url": stores.where(url),
                "before": change.before,
                "after": change.after,
                "backup": backup,
            }
        )
    elif change.before == change.after:
        term.line(f"nothing to do: the schema is {change.after or 'base'}")
    else:
        term.line(f"{change.before or 'base'} -> {change.after or 'base'}", "green")
        if backup:
            term.line(f"a copy of the file as it was: {backup}")
