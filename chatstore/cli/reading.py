"""Commands that only look: list, show, tail, stats. None of them creates or changes a file."""

import argparse
import heapq
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from chatstore import ChatStore, Conversation, Record, UndecodableMessage
from chatstore.cli import exits, stores
from chatstore.cli.clean import clean_lines
from chatstore.cli.parsing import (
    Subparsers,
    add_json,
    add_positional_url,
    command,
    count,
    namespace_of,
    url_of,
)
from chatstore.cli.terminal import ROLE_STYLES, Terminal, moment, number, plural, size
from chatstore.messages import TEXT

_PAGE = 500
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

    parser = command(commands, "show", run_show, "show the messages of a conversation")
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("-n", "--last", type=count, metavar="N", help="only the newest N")
    parser.add_argument("--start", type=int, metavar="I", help="from this one on, as in a slice")
    parser.add_argument("--stop", type=int, metavar="I", help="up to before this one")
    parser.add_argument("--status", choices=("active", "archived"), help="only those")
    parser.add_argument("--records", action="store_true", help="with id, format and payload")
    add_json(parser, "a line per message")

    parser = command(commands, "tail", run_tail, "show the newest messages of a conversation")
    parser.add_argument("key", metavar="KEY")
    parser.add_argument(
        "-n", "--last", type=count, metavar="N", default=10, help="how many (10, unless told)"
    )
    parser.add_argument("--records", action="store_true", help="with id, format and payload")
    add_json(parser, "a line per message")

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
        found = _sorted(store, args.sort, args.prefix, None if limit is None else limit + 1)
        shown = found[:limit]
        if args.json:
            for conversation in shown:
                term.data(asdict(conversation))
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


# show and tail


def run_show(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore show`."""
    with stores.open_reading(url_of(args), namespace_of(args)) as store:
        found = _must_find(store, args.key)
        if args.last is not None and (args.start is not None or args.stop is not None):
            raise exits.CommandError("give --last, or --start and --stop, not both")
        size = found.count
        if args.status:
            size = store.count_messages(args.key, status=args.status)
        if args.last is not None:
            window = range(size)[max(0, size - args.last) :]
        else:
            window = range(size)[slice(args.start, args.stop)]
        if not args.json:
            _show_head(term, found)
        for first in range(window.start, window.stop, _PAGE):
            stop = min(first + _PAGE, window.stop)
            records = store.get_records(args.key, start=first, stop=stop, status=args.status)
            _show_records(args, term, records, None if args.status else first)
    return exits.OK


def run_tail(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore tail`."""
    with stores.open_reading(url_of(args), namespace_of(args)) as store:
        found = _must_find(store, args.key)
        records = store.get_records(args.key, last=args.last)
        _show_records(args, term, records, max(0, found.count - len(records)))
    return exits.OK


def show_messages(term: Terminal, records: list[Record], first: int, margin: str = "") -> None:
    """Messages, for people; `first` is the place of the first of them."""
    for place, record in enumerate(records, first):
        _show_record(term, record, place, margin=margin)


def _must_find(store: ChatStore, key: str) -> Conversation:
    found = store.get_conversation(key)
    if found is None:
        raise exits.CommandError(
            f"there is no conversation {key!r}; it may have expired (`chatstore list` shows "
            "which there are)",
            4,
        )
    return found


def _show_head(term: Terminal, found: Conversation) -> None:
    facts = [plural(found.count, "message"), f"created {moment(found.created_at)}"]
    facts.append(f"updated {moment(found.updated_at)}")
    if found.expires_at is not None:
        facts.append(f"expires {moment(found.expires_at)}")
    term.parts((found.key, "bold"), ("  " + ", ".join(facts), "dim"))
    if found.metadata:
        term.line(f"metadata {json.dumps(found.metadata, ensure_ascii=False)}", "dim")
    term.line()


def _show_records(
    args: argparse.Namespace, term: Terminal, records: list[Record], first: int | None
) -> None:
    for place, record in enumerate(records):
        idx = None if first is None else first + place
        if args.json:
            term.data(_as_json(record, idx, whole=args.records))
        else:
            _show_record(term, record, idx, whole=args.records)


def _as_json(record: Record, idx: int | None, *, whole: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {} if idx is None else {"idx": idx}
    shown |= {"id": record.id, "role": record.role, "text": record.text, "kind": record.kind}
    shown |= {"status": record.status, "created_at": record.created_at}
    if whole:
        shown |= {
            "ordinal": record.ordinal,
            "format": record.format,
            "tool_call_ids": list(record.tool_call_ids),
            "payload": record.payload,
        }
    else:
        shown["blocks"] = record.message.blocks
        shown["additional_kwargs"] = record.message.additional_kwargs
    return shown


def _show_record(
    term: Terminal, record: Record, idx: int | None, *, whole: bool = False, margin: str = ""
) -> None:
    place = "" if idx is None else f"[{idx}] "
    marks = "" if record.status == "active" else "  (archived)"
    term.parts(
        (margin + place, "dim"),
        (record.role, ROLE_STYLES.get(record.role, "bold")),
        (f"  {moment(record.created_at)}{marks}", "dim"),
    )
    # Indented, so that no text of a message can pass for a line of ours.
    inside = len(margin) + 4
    for line in _lines(record):
        term.block(line, inside)
    if whole:
        calls = f", calls {' '.join(record.tool_call_ids)}" if record.tool_call_ids else ""
        facts = f"id {record.id}, ordinal {record.ordinal}, {record.format}, {record.kind}{calls}"
        term.block(facts, inside, "dim")
        term.block(record.payload, inside, "dim")


def _lines(record: Record) -> Iterator[str]:
    message = record.message
    if isinstance(message, UndecodableMessage):
        yield f"(cannot be decoded: {message.error}; --records shows the payload)"
        return
    for block in message.blocks:
        if block["block_type"] == TEXT and isinstance(block.get("text"), str):
            yield from clean_lines(block["text"])
        elif block["block_type"] == "tool_call":
            arguments = block.get("tool_kwargs")
            if not isinstance(arguments, str):
                arguments = json.dumps(arguments, ensure_ascii=False)
            yield f"-> {block.get('tool_name')} {arguments}"
        elif isinstance(block.get("content"), str):
            lines = clean_lines(block["content"])
            yield f"({block['block_type']}) {lines[0]}"
            yield from lines[1:]
        else:
            yield f"({block['block_type']})"


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
