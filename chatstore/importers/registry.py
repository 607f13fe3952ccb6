"""Which importers there are, and which one a file asks for."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Protocol, cast

from chatstore.errors import TransferError
from chatstore.importers.source import Source
from chatstore.importers.tables import Shape, holds
from chatstore.importers.talks import Talks
from chatstore.transfer import Stream

OWN = "chatstore"
"""Our own files and LlamaIndex's, which `ChatStore.import_json` reads."""


class Importer(Protocol):
    """A module of this folder."""

    NAME: str
    SUMMARY: str

    @staticmethod
    def recognise(first: Any) -> bool:
        """Whether a file whose first row (or whole document) this is, is surely of this kind."""

    @staticmethod
    def read(source: Source, key_prefix: str | None) -> Talks:
        """The conversations of a file."""


_MODULES = {
    "chatgpt": "chatstore.importers.chatgpt",
    "chitchat": "chatstore.importers.chitchat",
    "claude": "chatstore.importers.claude",
    "openai": "chatstore.importers.openai",
    "sharegpt": "chatstore.importers.sharegpt",
    "langchain-sql": "chatstore.importers.langchain_sql",
    "llama-index-memory": "chatstore.importers.llama_index_memory",
    "llama-index-sqlite": "chatstore.importers.llama_index_sqlite",
    "openai-agents-sqlite": "chatstore.importers.openai_agents_sqlite",
}
NAMES = (OWN, *_MODULES)
"""Which files can be read."""

TABLES = {
    "langchain-sql": "langchain-sql",
    "llama-index-memory": "llama-index-memory",
    "openai-agents-sql": "openai-agents-sqlite",
}
"""What can be read by the URL of a database, and the importer that knows the table."""

_SERVERS = {"llama-index-redis": "chatstore.redis.llama_index"}
SERVER_NAMES = (*TABLES, *_SERVERS)
"""What other programs keep in a server can be read."""

SERVER_SUMMARIES = {
    "openai-agents-sql": "the URL of a database with the Agents SDK's SQLAlchemySession",
    "llama-index-redis": "the URL of a server that LlamaIndex's RedisChatStore writes to",
}
"""Of those that are never a file."""


def find(name: str) -> Importer:
    """The importer of that name."""
    return cast(Importer, import_module(_MODULES[name]))


def summaries() -> Iterator[tuple[str, str]]:
    """What can be read, in words, by name."""
    yield OWN, "what `export` writes, and LlamaIndex's SimpleChatStore"
    for name in _MODULES:
        yield name, find(name).SUMMARY
    yield from SERVER_SUMMARIES.items()


def find_server(name: str) -> Callable[[str], Stream]:
    """The function that reads a server by its URL."""
    return cast(Callable[[str], Stream], import_module(_SERVERS[name]).stream)


def total(importer: Importer, source: Source) -> int | None:
    """How many messages a file holds, where its importer can tell without reading it twice."""
    count = getattr(importer, "total", None)
    return None if count is None else int(count(source))


def table_of(name: str) -> Shape | None:
    """What the table of an importer looks like; `None`: it reads files of text."""
    return getattr(find(name), "SHAPE", None) if name in _MODULES else None


def guess_database(source: Source) -> str | None:
    """The name of the importer for a SQLite file of another store; `None` if there is none."""
    found = [
        name for name in _MODULES if (shape := table_of(name)) is not None and holds(source, shape)
    ]
    return found[0] if len(found) == 1 else None


def guess(source: Source) -> str:
    """The name of the importer that a file asks for.

    Raises:
        TransferError: It cannot be read, or could be anything.
    """
    if source.is_database and (name := guess_database(source)) is not None:
        return name
    if source.archived:
        source.member = "conversations"
    first = source.first
    if _is_own(first):
        return OWN
    found = [name for name in _MODULES if find(name).recognise(first)]
    if len(found) != 1:
        raise TransferError(
            f"{source.path}: it is not certain what kind of file this is; say it with "
            f"--from ({', '.join(NAMES)})"
        )
    return found[0]


def _is_own(first: Any) -> bool:
    return isinstance(first, dict) and (
        first.get("format") == OWN or isinstance(first.get("store"), dict)
    )
