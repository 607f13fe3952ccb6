"""Commands that change a conversation: add, set-ttl, delete, erase, purge."""

import argparse
import sys

from chatstore import ChatMessage, requests
from chatstore.cli import exits, stores
from chatstore.cli.parsing import (
    Subparsers,
    add_json,
    command,
    namespace_of,
    seconds,
    url_of,
)
from chatstore.cli.terminal import Terminal, number, plural
from chatstore.messages import is_kept, is_role


def register(commands: Subparsers) -> None:
    """Add these commands."""
    parser = command(
        commands,
        "add",
        run_add,
        "append a message to a conversation",
        "A SQLite file that does not exist is created. Prints the id of the message.",
    )
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("text", metavar="TEXT", nargs="?", help="the text; without it, or -: stdin")
    parser.add_argument("--role", default="user", help="who speaks (user, unless told)")
    parser.add_argument("--id", help="your own id of the message: sent twice, it is stored once")
    parser.add_argument(
        "--ttl", type=seconds, metavar="SECONDS", help="if the conversation is new: its ttl"
    )
    add_json(parser, "the id")

    parser = command(
        commands, "set-ttl", run_set_ttl, "let a conversation expire after its last write"
    )
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("seconds", metavar="SECONDS", type=_ttl, help="a number, or none")

    parser = command(
        commands,
        "delete",
        run_delete,
        "remove a conversation, or one message of it",
        "The text may stay in the files until it is overwritten; `erase` sees to that.",
    )
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("--idx", type=int, metavar="I", help="only this message, as in a list")
    parser.add_argument("--yes", action="store_true", help="do it: it cannot be undone")

    parser = command(
        commands,
        "erase",
        run_erase,
        "remove a conversation, and its text from the files",
        "Backups, exports and replicas are out of reach.",
    )
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("--yes", action="store_true", help="do it: it cannot be undone")

    parser = command(commands, "purge", run_purge, "free what expired conversations take")
    add_json(parser, "the number of conversations")


def run_add(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore add`."""
    url = url_of(args)
    if not is_role(args.role):
        raise exits.CommandError("--role is a word in UTF-8, and not empty")
    text = _stdin() if args.text in (None, "-") else args.text
    if not is_kept(text.replace("\0", "")):  # the system gave bytes
        raise exits.CommandError("TEXT is not UTF-8; convert it first (iconv)")
    message = ChatMessage(text, role=args.role, id=args.id)
    requests.add_message(args.key, message, None, None)  # refuses before a file is made for it
    with stores.open_writing(url, namespace_of(args), ttl=args.ttl) as store:
        id = store.add_message(args.key, message)
    if args.json:
        term.data({"id": id})
    else:
        term.line(id)
    return exits.OK


def run_set_ttl(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore set-ttl`."""
    with stores.open_existing(url_of(args), namespace_of(args)) as store:
        if not store.set_ttl(args.key, args.seconds):
            raise _missing(args.key)
        found = store.get_conversation(args.key)
    if args.seconds is None:
        term.line(f"{args.key} does not expire")
    elif found is not None and found.expires_at is not None:
        term.line(f"{args.key} expires {args.seconds:g} seconds after its last write")
    return exits.OK


def run_delete(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore delete`."""
    _need_yes(args, "delete")
    with stores.open_existing(url_of(args), namespace_of(args)) as store:
        if args.idx is not None:
            total = store.count_messages(args.key)
            if store.delete_message(args.key, args.idx) is None:
                if not total:
                    raise _missing(args.key)
                raise exits.CommandError(
                    f"{args.key!r} has no message {args.idx}; it holds {plural(total, 'message')}",
                    4,
                )
            term.line(f"deleted message {args.idx} of {args.key}")
            return exits.OK
        held = store.delete_messages(args.key)
        if held is None:
            raise _missing(args.key)
    term.line(f"deleted {args.key} ({plural(len(held), 'message')})")
    return exits.OK


def run_erase(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore erase`."""
    _need_yes(args, "erase")
    with stores.open_existing(url_of(args), namespace_of(args)) as store:
        if not store.erase(args.key):
            raise _missing(args.key)
    term.line(f"erased {args.key}")
    term.note("Backups, exports, replicas and the blocks that a disk keeps are out of reach.")
    return exits.OK


def run_purge(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore purge`."""
    with stores.open_existing(url_of(args), namespace_of(args)) as store:
        count = store.purge_expired()
    if args.json:
        term.data({"conversations": count})
    else:
        term.line(f"freed {number(count)} expired conversation{'' if count == 1 else 's'}")
    return exits.OK


def _need_yes(args: argparse.Namespace, verb: str) -> None:
    if not args.yes:
        raise exits.CommandError(f"{verb} cannot be undone; add --yes to do it")


def _missing(key: str) -> exits.CommandError:
    return exits.CommandError(
        f"there is no conversation {key!r}; it may have expired (`chatstore list` shows which "
        "there are)",
        4,
    )


def _stdin() -> str:
    if sys.stdin.isatty():
        sys.stderr.write("the text, then Ctrl-D:\n")
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise exits.CommandError("stdin is not UTF-8; convert it first (iconv)") from None
    text = text.removesuffix("\n")
    if not text:
        raise exits.CommandError("stdin is empty; an empty message is `chatstore add KEY ''`")
    return text


def _ttl(text: str) -> float | None:
    return None if text == "none" else seconds(text)
