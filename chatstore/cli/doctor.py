"""`chatstore doctor`: what a store stands on, and what about it should worry."""

import argparse
import os
import platform
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from chatstore import ChatStoreError
from chatstore._version import __version__
from chatstore.cli import exits, stores
from chatstore.cli.clean import one_line
from chatstore.cli.parsing import Subparsers, add_json, add_positional_url, command
from chatstore.cli.schema import is_sql
from chatstore.cli.terminal import Style, Terminal, plural, size

if TYPE_CHECKING:
    from chatstore.sql.engine import Database

State = Literal["ok", "note", "warning", "problem"]
_STYLES: dict[State, Style] = {"ok": "green", "note": "dim", "warning": "yellow", "problem": "red"}
_PACKAGES = ("sqlalchemy", "alembic", "pydantic", "redis", "hiredis", "psycopg", "rich")
_LITTLE = 500_000_000  # bytes
_SETTINGS = ("server_version", "synchronous_commit", "fsync", "server_encoding")
_RISKY = ("off", "local")
_EVICTING = "allkeys"


class Finding(NamedTuple):
    """Something that was looked at."""

    name: str
    value: str
    state: State = "ok"
    remedy: str = ""


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
    from chatstore.sql.lockfile import has_wal_reset_bug

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
        looks.append(lambda: _file(Path(path)))
    if is_sql(url):
        looks.append(lambda: _database(url))
    scheme = url.partition("://")[0].partition("+")[0].lower()
    if scheme in ("redis", "rediss", "unix", "valkey", "valkeys"):
        looks.append(lambda: _redis(url))
    return [finding for look in looks for finding in _guarded(look)]


def _guarded(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except ImportError as error:
        yield Finding("driver", one_line(str(error)), "problem")
    except (ChatStoreError, OSError, sqlite3.Error, ValueError) as error:
        yield Finding("store", one_line(str(error)), "problem")


# SQLite


def _file(path: Path) -> Iterator[Finding]:
    from chatstore.sql.files import is_remote

    facts = path.stat()
    yield Finding("file", f"{path}, {size(facts.st_size)}")
    if sys.platform != "win32":
        mode = stat.S_IMODE(facts.st_mode)
        if mode & 0o077:
            yield Finding(
                "permissions",
                f"{mode:04o}: others on this machine may open it",
                "warning",
                f"chmod 600 {path}",
            )
        else:
            yield Finding("permissions", f"{mode:04o}")
    if not os.access(path, os.W_OK) or not os.access(path.resolve().parent, os.W_OK):
        yield Finding(
            "writing",
            "this account may not write the file or its folder",
            "warning",
            "Grant it, or open the store with read_only=True.",
        )
    if is_remote(path.resolve()):
        yield Finding(
            "file system",
            "a network file system",
            "warning",
            "WAL cannot work there, and locks may lie: put the file on a local disk.",
        )
    else:
        yield Finding("file system", "local")
    free = shutil.disk_usage(path.resolve().parent).free
    state: State = "warning" if free < max(_LITTLE, facts.st_size) else "ok"
    remedy = "An upgrade needs room for a copy of the file." if state == "warning" else ""
    yield Finding("free disk", size(free), state, remedy)


# Every SQL store


def _database(url: str) -> Iterator[Finding]:
    from chatstore.sql import schema
    from chatstore.sql.engine import open_database

    database = open_database(stores.target(url), read_only=True, create=False)
    try:
        # Asked through the store's own connection: a second way to open a live file is a risk.
        if database.dialect == "sqlite":
            yield from _sqlite(_ask(database, "PRAGMA journal_mode"), stores.sqlite_path(url))
        else:
            yield from _postgres({name: _ask(database, f"SHOW {name}") for name in _SETTINGS})
        found = schema.current(database)
    finally:
        database.close()
    if found == schema.HEAD:
        yield Finding("schema", f"{found} (head)")
    else:
        yield Finding(
            "schema",
            f"{found or 'none'}; this version needs {schema.HEAD}",
            "problem",
            f"chatstore upgrade {stores.where(url)}",
        )


def _ask(database: "Database", statement: str) -> str:
    return str(database.read(lambda connection: connection.execute(statement).fetchall()[0][0]))


def _sqlite(mode: str, path: str | None) -> Iterator[Finding]:
    if path is None:
        yield Finding("journal mode", f"{mode}: in memory, nothing lasts", "note")
        return
    if mode == "wal":
        yield Finding("journal mode", "wal")
    else:
        yield Finding(
            "journal mode",
            f"{mode}: readers and writers wait for each other",
            "warning",
            "The next write by chatstore sets wal, unless the file system forbids it.",
        )
    yield Finding(
        "durability", "full: survives a power cut (open_store(…, durability='normal') does not)"
    )
    if os.path.exists(path + "-wal"):
        yield Finding("write-ahead log", size(os.stat(path + "-wal").st_size))


def _postgres(facts: dict[str, str]) -> Iterator[Finding]:
    yield Finding("server", f"PostgreSQL {facts['server_version']}")
    for name in ("synchronous_commit", "fsync"):
        if facts[name] in _RISKY:
            yield Finding(name, facts[name], "warning", "A crash may lose the newest messages.")
        else:
            yield Finding(name, facts[name])
    yield Finding("encoding", facts["server_encoding"])


# Redis


def _redis(url: str) -> Iterator[Finding]:
    import redis

    if "+" in url.partition("://")[0]:
        yield Finding("server", "a cluster or sentinel: ask each node by its own URL", "note")
        return
    plain = url.replace("valkeys://", "rediss://", 1).replace("valkey://", "redis://", 1)
    client = redis.Redis.from_url(plain, decode_responses=True, socket_timeout=5)
    try:
        facts: dict[str, Any] = client.info()
        name = "Valkey" if "valkey_version" in facts else "Redis"
        yield Finding(
            "server",
            f"{name} {facts.get('valkey_version', facts['redis_version'])}, "
            f"{size(facts['used_memory'])} in use",
        )
        yield from _eviction(facts)
        yield from _persistence(facts, _settings(client))
    except redis.RedisError as error:
        yield Finding(
            "server", f"it does not answer ({type(error).__name__})", "problem", "Check the URL."
        )
    finally:
        client.close()


def _eviction(facts: dict[str, Any]) -> Iterator[Finding]:
    policy, limit = str(facts.get("maxmemory_policy", "unknown")), int(facts.get("maxmemory", 0))
    if policy == "noeviction" or not limit:
        yield Finding("eviction", f"{policy}, {size(limit) if limit else 'no'} memory limit")
        return
    what = "any conversation" if policy.startswith(_EVICTING) else "conversations with a ttl"
    yield Finding(
        "eviction",
        f"{policy}: under memory pressure the server drops {what}",
        "warning",
        "CONFIG SET maxmemory-policy noeviction",
    )


def _persistence(facts: dict[str, Any], settings: dict[str, str]) -> Iterator[Finding]:
    if facts.get("aof_enabled"):
        when = settings.get("appendfsync", "unknown")
        lost = {"always": "nothing", "everysec": "about a second"}.get(when, "an unknown part")
        yield Finding("persistence", f"append-only file, fsync {when}: a crash loses {lost}")
    elif settings.get("save") == "":
        yield Finding(
            "persistence",
            "none: a restart loses everything",
            "warning",
            "CONFIG SET appendonly yes",
        )
    else:
        yield Finding(
            "persistence",
            "snapshots only: a crash loses what came after the last one",
            "warning",
            "CONFIG SET appendonly yes",
        )
    role, replicas = facts.get("role"), facts.get("connected_slaves", 0)
    yield Finding("replication", f"{role}, {replicas} replicas connected")


def _settings(client: Any) -> dict[str, str]:
    import redis

    try:
        return {**client.config_get("appendfsync"), **client.config_get("save")}
    except redis.RedisError:  # an account may not, and some hosts rename CONFIG
        return {}


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
