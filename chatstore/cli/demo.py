"""`chatstore demo`: real conversations go into a store and come out again, through a kill."""

import argparse
import os
import tempfile
from contextlib import ExitStack

from chatstore.cli import demo_sample, demo_steps, exits, stores
from chatstore.cli.demo_place import NAMESPACE, make_room
from chatstore.cli.demo_scene import Scene
from chatstore.cli.parsing import Subparsers, command
from chatstore.cli.terminal import Terminal
from chatstore.importers.chitchat import find

_ACKNOWLEDGED = 500
_ACKNOWLEDGED_SMALL = 50


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "demo",
        run_demo,
        "import real conversations, kill a writer, export, import again, compare",
        "The conversations are those of the package chitchat-dataset: 258 145 messages, written "
        "by people. Leaves the store, and an export beside it, for you to look at.",
        store=False,
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--path", metavar="FILE", default="chat.db", help="the SQLite file to make (chat.db)"
    )
    where.add_argument(
        "--url", metavar="URL", help=f"another store, empty in its namespace {NAMESPACE}"
    )
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--data", metavar="FILE", help="other conversations, as `import` reads them")
    data.add_argument("--small", action="store_true", help="a small sample that is built in")


def run_demo(args: argparse.Namespace, term: Terminal) -> int:
    """`chatstore demo`."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="chatstore-demo-"))
        data = _data(args, folder)
        url = args.url or args.path
        if stores.is_memory(url):
            raise exits.CommandError(
                "the demo kills a process that writes to the store: memory will not do; "
                "use --path chat.db"
            )
        namespace = NAMESPACE if args.url else ""
        make_room(url, namespace)
        return play(Scene(term, url, namespace, folder), data, small=args.small)


def play(scene: Scene, data: str, *, small: bool) -> int:
    """All steps; 1 if one of them does not show what it should."""
    demo_steps.import_data(scene, data)
    with scene.open() as store:
        demo_steps.list_longest(scene, store)
        demo_steps.tail_and_append(scene, store)
        kept = demo_steps.kill_writer(scene, store, _ACKNOWLEDGED_SMALL if small else _ACKNOWLEDGED)
        equal = demo_steps.export_and_import(scene, store)
    scene.title("How fast it was")
    scene.term.table(
        (("step", "left"), ("time", "right"), ("rate", "right")), scene.times, indent=3
    )
    demo_steps.farewell(scene)
    return exits.OK if kept and equal else exits.PROBLEMS


def _data(args: argparse.Namespace, folder: str) -> str:
    if args.small:
        path = os.path.join(folder, "kitchen.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.write(demo_sample.lines())
        return path
    if args.data:
        return str(args.data)
    found = find()
    if found is None:
        raise exits.CommandError(
            "the real conversations are not installed; `pip install chitchat-dataset` (8 MB), "
            "run `python3 dev.py demo` in a checkout, or see a small sample with --small",
            exits.MISSING_PACKAGE,
        )
    return found
