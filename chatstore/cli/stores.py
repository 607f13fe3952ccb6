"""From a URL on the command line to an open store, without creating what is only to be read."""

import os
from pathlib import Path
from typing import Any

from chatstore import ChatStore, open_store
from chatstore.cli import exits
from chatstore.cli.clean import hide_passwords


def where(url: str) -> str:
    """The URL as it may be shown."""
    return hide_passwords(url)


def sqlite_path(url: str) -> str | None:
    """The file of a SQLite URL or path; `None` for a server, and for a store in memory."""
    scheme, found, rest = url.partition("://")
    if not found:
        return url
    if scheme.partition("+")[0].lower() != "sqlite":
        return None
    path = rest.partition("?")[0].removeprefix("/")
    return None if path in ("", ":memory:") or path.startswith("file:") else path


def target(url: str) -> str | Path:
    """The URL, or the path that it is, as `chatstore.sql.engine` takes it."""
    return url if "://" in url else Path(url)


def is_memory(url: str) -> bool:
    """Whether the store lives in this process only."""
    return url.startswith("memory:") or (
        url.partition("+")[0].startswith("sqlite") and "://" in url and sqlite_path(url) is None
    )


def require_file(url: str) -> None:
    """Refuse a SQLite file that is not there, before anything could create it."""
    _refuse_folder(url)
    path = sqlite_path(url)
    if path is not None and not os.path.exists(path):
        raise exits.CommandError(
            f"there is no file {path}; check --url (`chatstore add` and `chatstore import` "
            "create a store)",
            exits.NO_STORE,
        )


def _refuse_folder(url: str) -> None:
    path = sqlite_path(url)
    if path is not None and os.path.isdir(path):
        raise exits.CommandError(f"{path} is a folder; give the file in it", exits.NO_STORE)


def open_reading(url: str, namespace: str) -> ChatStore:
    """The store, for a command that changes nothing: neither its schema nor its files."""
    require_file(url)
    options: dict[str, Any] = {}
    if sqlite_path(url) is not None:
        options["read_only"] = True
    return open_store(url, namespace=namespace, upgrade=False, **options)


def open_existing(url: str, namespace: str) -> ChatStore:
    """The store, for a command that changes what is in it."""
    require_file(url)
    return open_store(url, namespace=namespace)


def open_writing(url: str, namespace: str, ttl: float | None = None) -> ChatStore:
    """The store, for a command that may create it."""
    _refuse_folder(url)
    return open_store(url, namespace=namespace, ttl=ttl)
