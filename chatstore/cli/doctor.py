"""`chatstore doctor`: what a store stands on, and what about it should worry."""

import argparse
import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chatstore import ChatStoreError
from chatstore._version import __version__
from chatstore.cli import doctor_redis, doctor_sql, exits, stores
from chatstore.cli.clean import one_line
from chatstore.cli.finding import Finding, State
from chatstore.cli.parsing import Subparsers, add_json, add_positional_url, command
from chatstore.cli.schema import is_sql
from chatstore.cli.terminal import Style, Terminal, plural

_STYLES: dict[State, Style] = {"ok": "green", "note": "dim", "warning": "yellow", "problem": "red"}
_PACKAGES = ("sqlalchemy", "alembic", "pydantic", "redis", "hiredis", "psycopg", "rich")


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "doctor",
        run_doctor,
        "show what the store stands on: versions, settings, disk, server",
        "Without a URL: only what is installed. Changes nothing. Exit code 1 if there is a "
        "problem; a warning is none.",
    )
    add_positional_url(parser)
    add_json(parser, "the findings")


def run_doctor(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore doctor`."""
    url = getattr(args, "place", None) or getattr(args, "url", None)
    url = url or os.environ.get("CHATSTORE_URL")
    findings = [*installed()]
    if url:
        findings += examine(url)
    problems = sum(finding.state == "problem" for finding in findings)
    if args.json:
        term.data(
            {
                "url": stores.where(url) if url else None,
                "ok": not problems,
                "findings": [finding._asdict() for finding in findings],
            }
        )
    else:
        _show(term, findings, url)
    return exits.PROBLEMS if problems else exits.OK


def installed() -> Iterator[Finding]:
    """What is installed here."""
    yield Finding("chatstore", __version__)
    yield Finding("python", f"{platform.python_version()} ({sys.platform})")
    from chatstore.sql.engine.sqlite.lockfile import has_wal_reset_bug

    if has_wal_reset_bug(sqlite3.sqlite_version_info):
        yield Finding(
            "sqlite library",
            f"{sqlite3.sqlite_version}, with the WAL-reset bug; chatstore keeps it at bay with a "
            "lock file",
            "note",
            "Programs other than chatstore should not write to its files. SQLite 3.51.3 has the "
            "repair (also 3.50.7 and 3.44.6).",
        )
    else:
        yield Finding("sqlite library", sqlite3.sqlite_version)
    for name in _PACKAGES:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, "not installed", "note")


def examine(url: str) -> list[Finding]:
    """What can be said of the store at a URL; a fault becomes a finding."""
    path = stores.sqlite_path(url)
    looks: list[Callable[[], Iterator[Finding]]] = []
    if path is not None:
        stores.require_file(url)
        looks.append(lambda: doctor_sql.file(Path(path)))
    if is_sql(url):
        looks.append(lambda: doctor_sql.database(url))
    scheme = url.partition("://")[0].partition("+")[0].lower()
    if scheme in ("redis", "rediss", "unix", "valkey", "valkeys"):
        looks.append(lambda: doctor_redis.server(url))
    return [finding for look in looks for finding in _guarded(look)]


def _guarded(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except ImportError as error:
        yield Finding("driver", one_line(str(error)), "problem")
    except (ChatStoreError, OSError, sqlite3.Error, ValueError) as error:
        yield Finding("store", one_line(str(error)), "problem")


def _show(term: Terminal, findings: list[Finding], url: str | None) -> None:
    if url:
        term.line(stores.where(url), "bold")
    for finding in findings:
        mark = "" if finding.state in ("ok", "note") else f"{finding.state}: "
        term.parts(
            (finding.name.ljust(16), "dim"),
            (mark, _STYLES[finding.state]),
            (finding.value, _STYLES[finding.state] if mark else ""),
        )
        if finding.remedy:
            term.block(finding.remedy, 16, "dim")
    count = sum(finding.state == "problem" for finding in findings)
    warned = sum(finding.state == "warning" for finding in findings)
    if count or warned:
        found = f"{plural(count, 'problem')}, {plural(warned, 'warning')}"
        term.line(found, "red" if count else "yellow")
    else:
        term.line("all is well" if url else "no store looked at: give its URL", "green")
