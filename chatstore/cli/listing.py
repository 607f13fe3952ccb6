"""Commands that look at all conversations: list, stats. Neither creates or changes a file."""

import argparse
import heapq
import os
from collections.abc import Iterator
from typing import Any

from chatstore import ChatStore, Conversation
from chatstore.cli import exits, sorting, stores
from chatstore.cli.parsing import (
    Subparsers,
    add_json,
    add_positional_url,
    command,
    count,
    namespace_of,
    url_of,
)
from chatstore.cli.terminal import Terminal, moment, number, size

_PAGE = 5000  # on Redis, each page walks over all keys
_SHOWN = 50


def register(commands: Subparsers) -> None:
    """Add these commands."""
    parser = command(
        commands,
        "list",
        run_list,
        "list conversations",
        f"The newest {_SHOWN}, unless told otherwise; with --json, all.",
    )
    parser.add_argument(
        "prefix", nargs="?", metavar="PREFIX", default="", help="only keys that begin so"
    )
    parser.add_argument(
        "--sort",
        choices=("newest", "longest", "key"),
        default="newest",
        help="newest: last written first (the default)",
    )
    parser.add_argument("-n", "--limit", type=count, metavar="N", help="at most so many")
    parser.add_argument("--all", action="store_true", help="all of them")
    add_json(parser, "a line per conversation")

    parser = command(commands, "stats", run_stats, "count what the store holds")
    add_positional_url(parser)
    add_json(parser, "the numbers")


# list


def run_list(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore list`."""
    if args.all and args.limit is not None:
        raise exits.CommandError("give --limit or --all, not both (see `chatstore list --help`)")
    limit = None if args.all or (args.json and args.limit is None) else args.limit
    if limit is None and not args.all and not args.json:
        limit = _SHOWN
    with stores.open_reading(url_of(args), namespace_of(args)) as store:
        if args.json and limit is None:
            for line in sorting.lines(conversations(store, args.prefix), args.sort):
                term.json_line(line)
            return exits.OK
        found = _sorted(store, args.sort, args.prefix, None if limit is None else limit + 1)
        shown = found[:limit]
        if args.json:
            for conversation in shown:
                term.data(sorting.facts(conversation))
            return exits.OK
        show_list(term, shown)
        if len(found) > len(shown) and limit:
            term.note("there are more: --limit N shows more of them, --all shows all")
    return exits.OK


def show_list(term: Terminal, conversations: list[Conversation]) -> None:
    """A table of conversations."""
    if not conversations:
        term.line("no conversations")
        return
    term.table(
        (
            ("key", "left"),
            ("messages", "right"),
            ("updated", "left"),
            ("expires", "left"),
            ("title", "left"),
        ),
        [
            (c.key, number(c.count), moment(c.updated_at), moment(c.expires_at), _title(c))
            for c in conversations
        ],
    )


def longest(store: ChatStore, n: int | None, prefix: str = "") -> list[Conversation]:
    """The conversations with most messages, longest first."""
    everything = conversations(store, prefix)
    if n is None:
        return sorted(everything, key=lambda c: (-c.count, c.key))
    return heapq.nsmallest(n, everything, key=lambda c: (-c.count, c.key))


def conversations(store: ChatStore, prefix: str = "") -> Iterator[Conversation]:
    """All conversations by key, read in pages."""
    after: Conversation | None = None
    while page := store.get_conversations(order="key", after=after, limit=_PAGE, prefix=prefix):
        yield from page
        after = page[-1]


def _sorted(store: ChatStore, sort: str, prefix: str, n: int | None) -> list[Conversation]:
    if sort == "longest":
        return longest(store, n, prefix)
    if sort == "key":
        return store.get_conversations(order="key", limit=n, prefix=prefix)
    return store.get_conversations(limit=n, prefix=prefix)


def _title(conversation: Conversation) -> str:
    title = conversation.metadata.get("title")
    return title if isinstance(title, str) else ""


# stats


def run_stats(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore stats`."""
    url = url_of(args)
    with stores.open_reading(url, namespace_of(args)) as store:
        facts = _count(store)
    path = stores.sqlite_path(url)
    if path is not None:
        facts["bytes"] = sum(
            os.stat(path + end).st_size for end in ("", "-wal") if os.path.exists(path + end)
        )
    if args.json:
        term.data({"url": stores.where(url), **facts})
        return exits.OK
    rows = [
        ("store", stores.where(url)),
        ("conversations", number(facts["conversations"])),
        ("messages", number(facts["messages"])),
        ("longest", number(facts["longest"])),
        ("with a ttl", number(facts["expiring"])),
        ("oldest", moment(facts["oldest"])),
        ("last written", moment(facts["updated"])),
        ("on disk", size(facts["bytes"]) if "bytes" in facts else ""),
    ]
    for name, value in rows:
        if value:
            term.parts((name.ljust(15), "dim"), (value, ""))
    return exits.OK


def _count(store: ChatStore) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "conversations": 0,
        "messages": 0,
        "longest": 0,
        "expiring": 0,
        "oldest": None,
        "updated": None,
    }
    for conversation in conversations(store):
        facts["conversations"] += 1
        facts["messages"] += conversation.count
        facts["longest"] = max(facts["longest"], conversation.count)
        facts["expiring"] += conversation.expires_at is not None
        facts["oldest"] = min(facts["oldest"] or conversation.created_at, conversation.created_at)
        facts["updated"] = max(facts["updated"] or conversation.updated_at, conversation.updated_at)
    return facts
