"""Commands that show messages: show, tail. Neither creates or changes a file."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from chatstore import ChatStore, Conversation, Record, UndecodableMessage
from chatstore.cli import exits, stores
from chatstore.cli.clean import clean_lines
from chatstore.cli.parsing import Subparsers, add_json, command, count, namespace_of, url_of
from chatstore.cli.terminal import ROLE_STYLES, Terminal, moment, plural
from chatstore.messages import TEXT

_PAGE = 500


def register(commands: Subparsers) -> None:
    """Add these commands."""
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
