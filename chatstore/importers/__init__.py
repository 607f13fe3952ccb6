"""Foreign chat formats, read into a store: all of a file or nothing.

Each module here knows one format, as a pure function from a file to conversations; none knows a
store. `import_file` brings them together.
"""

import os
from dataclasses import dataclass

from chatstore import collector
from chatstore.errors import DuplicateMessageError, TransferError
from chatstore.importers import tables
from chatstore.importers.registry import (
    NAMES,
    OWN,
    SERVER_NAMES,
    TABLES,
    find,
    find_server,
    guess,
    total,
)
from chatstore.importers.source import Source
from chatstore.importers.talks import Taker, counted
from chatstore.store import ChatStore
from chatstore.transfer import Format, OnConflict, Progress, TransferReport

__all__ = ["NAMES", "OWN", "SERVER_NAMES", "ImportReport", "import_file", "import_server"]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import stored.

    Attributes:
        importer: The name of the importer that read the file.
        conversations: How many conversations were stored.
        messages: How many messages were stored.
        skipped: How many conversations were left alone, for their keys exist.
        empty: How many conversations of the file held no message, and so cannot exist.
    """

    importer: str
    conversations: int
    messages: int
    skipped: int = 0
    empty: int = 0


def import_file(
    store: ChatStore,
    path: str | os.PathLike[str] | Source,
    importer: str | None = None,
    *,
    on_conflict: OnConflict = "error",
    key_prefix: str | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Read a file of chats into a store, all of it or nothing.

    Args:
        store: Where the conversations go.
        path: The file, or a `Source` that was looked into already; plain or gzipped, for the
            exports of ChatGPT and Claude also their zip.
        importer: One of `NAMES`; `None`: what the file asks for, where that is certain.
        on_conflict: As in `ChatStore.import_json`.
        key_prefix: What keys begin with; `None`: nothing for files that name their conversations,
            else the file's name.
        progress: Called now and then with the messages done and, if known, those in all.

    Raises:
        TransferError: The file is missing, broken, or of no known kind; a key exists. The text
            names the line. The store is as it was.

    Example:
        >>> import json, pathlib, tempfile
        >>> from chatstore import open_store
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "train.jsonl"
        >>> _ = path.write_text(json.dumps({"messages": [{"role": "user", "content": "Hello"}]}))
        >>> with open_store("memory://") as store:
        ...     import_file(store, path).importer, store.get_keys()
        ('openai', ['train:000001'])
    """
    source = path if isinstance(path, Source) else Source(path)
    if importer is None:
        importer = guess(source)
    if importer == OWN:
        if key_prefix is not None:
            raise TransferError("files of chatstore name their keys; leave out the key prefix")
        report = store.import_json(
            source.path, on_conflict=on_conflict, format=_format(source), progress=progress
        )
        return _summary(OWN, report, 0)
    if importer not in NAMES:
        raise TransferError(f"no importer is called {importer!r}; known are {', '.join(NAMES)}")
    with collector.paused():  # it would walk the whole document again and again
        return _take(store, source, importer, importer, on_conflict, key_prefix, progress)


def _format(source: Source) -> Format | None:
    """What a file of ours holds, where its name does not say it."""
    if source.path.lower().endswith((".json", ".jsonl", ".gz")):
        return None
    return "jsonl" if source.in_lines else "json"


def _take(
    store: ChatStore,
    source: Source,
    name: str,
    importer: str,
    on_conflict: OnConflict,
    key_prefix: str | None,
    progress: Progress | None,
) -> ImportReport:
    module = find(importer)
    taker = Taker(source.path, progress, total(module, source))
    try:
        report = store._restore(lambda: taker.stream(module.read(source, key_prefix)), on_conflict)
    except DuplicateMessageError as error:
        raise taker.clash(error) from None
    return _summary(name, report, taker.empty)


def import_server(
    store: ChatStore,
    url: str,
    importer: str,
    *,
    on_conflict: OnConflict = "error",
    progress: Progress | None = None,
) -> ImportReport:
    """Read what another program keeps in a server into a store, all of it or nothing.

    Args:
        store: Where the conversations go.
        url: The server; of a database, as SQLAlchemy writes it. It is read in one snapshot, and
            nothing is created in it.
        importer: One of `SERVER_NAMES`; a server does not tell what it holds.
        on_conflict: As in `ChatStore.import_json`.
        progress: Called now and then with the messages done.

    Raises:
        TransferError: A message cannot be read; a key exists. The store is as it was.
        StoreUnavailableError: The server cannot be reached.
    """
    if importer not in SERVER_NAMES:
        known = ", ".join(SERVER_NAMES)
        raise TransferError(f"no importer of a server is called {importer!r}; known are {known}")
    if importer in TABLES:
        database = tables.Database(url)
        return _take(store, database, importer, TABLES[importer], on_conflict, None, progress)
    read = find_server(importer)
    try:
        report = store._restore(lambda: counted(read(url), progress), on_conflict)
    except DuplicateMessageError as error:
        raise TransferError(f"{error}; nothing was imported") from None
    return _summary(importer, report, 0)


def _summary(importer: str, report: TransferReport, empty: int) -> ImportReport:
    return ImportReport(importer, report.conversations, report.messages, report.skipped, empty)
