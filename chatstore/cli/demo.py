"""`chatstore demo`: real conversations go into a store and come out again, through a kill."""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from chatstore import ChatMessage, ChatStore, ChatStoreError, Conversation, codec, open_store
from chatstore.cli import demo_sample, exits, reading, stores
from chatstore.cli.demo_writer import text_of
from chatstore.cli.parsing import Subparsers, command
from chatstore.cli.terminal import Terminal, moment, number, plural, size
from chatstore.importers import import_file
from chatstore.importers.between import content_digest
from chatstore.importers.chitchat import find

KEY = "chatstore demo"
"""The conversation by which the demo knows a store as its own; the killed writer appends to it."""

NAMESPACE = "chatstore-demo"
"""Where the demo works on a server, so that it meets nobody's conversations."""

_MARK = {"made_by": "chatstore demo"}
_INTRO = "This store was made by `chatstore demo`, which may delete it and make it again."
_ACKNOWLEDGED = 500
_ACKNOWLEDGED_SMALL = 50
_PATIENCE = 60.0  # seconds
_BESIDE = ("", "-wal", "-shm", "-lock", "-journal")


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


@dataclass
class Scene:
    """What the steps of the demo share."""

    term: Terminal
    url: str
    namespace: str
    folder: str
    times: list[tuple[str, str, str]] = field(default_factory=list)
    steps: int = 0

    @property
    def backup(self) -> str:
        """Where the export goes: beside a SQLite file, else into the temporary folder."""
        path = stores.sqlite_path(self.url)
        return backup_of(path) if path else os.path.join(self.folder, "chat.demo.jsonl.gz")

    @property
    def is_file(self) -> bool:
        """Whether the store is a SQLite file, whose promises are known here."""
        return stores.sqlite_path(self.url) is not None

    def open(self) -> ChatStore:
        """The store."""
        return open_store(self.url, namespace=self.namespace)

    def title(self, text: str) -> None:
        """Begin a step."""
        self.steps += 1
        if self.steps > 1:
            self.term.line()
        self.term.line(f"{self.steps}. {text}", "bold")

    def say(self, text: str, good: bool = False) -> None:
        """Say something about the step."""
        self.term.line(f"   {text}", "green" if good else "")

    def took(self, step: str, messages: int, seconds: float) -> str:
        """Note how long something took; in words."""
        rate = f"{number(round(messages / seconds))} messages/s" if messages > 1 else ""
        time_taken = f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.1f} ms"
        self.times.append((step, time_taken, rate))
        return f"{time_taken}, {rate}" if rate else time_taken


def backup_of(path: str) -> str:
    """The export's name, beside the store's."""
    return os.path.splitext(path)[0] + ".demo.jsonl.gz"


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
        _make_room(url, namespace)
        return play(Scene(term, url, namespace, folder), data, small=args.small)


def play(scene: Scene, data: str, *, small: bool) -> int:
    """All steps; 1 if one of them does not show what it should."""
    _import(scene, data)
    with scene.open() as store:
        _list(scene, store)
        _tail_and_append(scene, store)
        kept = _kill(scene, store, _ACKNOWLEDGED_SMALL if small else _ACKNOWLEDGED)
        equal = _export_and_import(scene, store)
    scene.title("How fast it was")
    scene.term.table(
        (("step", "left"), ("time", "right"), ("rate", "right")), scene.times, indent=3
    )
    _farewell(scene)
    return exits.OK if kept and equal else exits.PROBLEMS


# What there is before


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


def _make_room(url: str, namespace: str) -> None:
    """Remove what an earlier demo made; refuse to touch anything else."""
    path = stores.sqlite_path(url)
    if path is None:
        with open_store(url, namespace=namespace) as store:
            if not _is_ours(store):
                raise _refusal(f"{stores.where(url)} holds conversations")
            for key in store.get_keys():
                store.delete_messages(key)
        return
    backup = backup_of(path)
    if not os.path.exists(path):
        if os.path.exists(backup):
            raise _refusal(f"{backup} exists")
        return
    try:
        with stores.open_reading(url, namespace) as store:
            ours = _is_ours(store)
    except ChatStoreError:
        ours = False
    if not ours:
        raise _refusal(f"{path} exists")
    for name in (backup, *(path + end for end in _BESIDE)):
        with contextlib.suppress(FileNotFoundError):
            os.remove(name)


def _is_ours(store: ChatStore) -> bool:
    found = store.get_conversation(KEY)
    return not store.get_keys(limit=1) or (found is not None and found.metadata == _MARK)


def _refusal(what: str) -> exits.CommandError:
    return exits.CommandError(
        f"{what} and is not the demo's own; name another place: chatstore demo --path demo.db"
    )


# The steps


def _import(scene: Scene, data: str) -> None:
    scene.title(f"Import {os.path.basename(data)} into {stores.where(scene.url)}")
    with (
        scene.term.progress("   importing") as update,
        codec.collector_paused(),
        _clock() as clock,  # opening and closing included
        scene.open() as store,
    ):
        store.add_message(KEY, ChatMessage(_INTRO, role="system"))
        store.set_metadata(KEY, _MARK)
        report = import_file(store, data, progress=update)
    pace = scene.took("import", report.messages, clock.seconds)
    scene.say(
        f"{plural(report.messages, 'message')} in {plural(report.conversations, 'conversation')}, "
        f"{'one transaction, ' if scene.is_file else ''}{pace}"
    )


def _list(scene: Scene, store: ChatStore) -> None:
    scene.title("The longest conversations")
    with _clock() as clock:
        found = reading.longest(store, 5)
    rows = [(c.key, number(c.count), moment(c.updated_at)) for c in found]
    scene.term.table(
        (("key", "left"), ("messages", "right"), ("last message", "left")), rows, indent=3
    )
    scene.took("list all conversations", 0, clock.seconds)


def _tail_and_append(scene: Scene, store: ChatStore) -> None:
    found = _worth_reading(store)
    scene.title(f"The end of {found.key}")
    with _clock() as clock:
        records = store.get_records(found.key, last=4)
    reading.show_messages(scene.term, records, found.count - len(records), "   ")
    pace = scene.took("read the last 4", 0, clock.seconds)
    scene.say(f"the last 4 of {number(found.count)} messages: {pace}")

    scene.title("Append a turn")
    turn = [
        ChatMessage("Shall we go on?", role="user"),
        ChatMessage("Of course: nothing was forgotten.", role="assistant"),
    ]
    with _clock() as clock:
        store.add_messages(found.key, turn)
    records = store.get_records(found.key, last=2)
    reading.show_messages(scene.term, records, found.count, "   ")
    pace = scene.took("append a turn of 2", 0, clock.seconds)
    scene.say(f"stored{', and flushed to the disk' if scene.is_file else ''}: {pace}")


def _worth_reading(store: ChatStore) -> Conversation:
    """The longest conversation in which, at the end, more than one speaks; else the longest."""
    found = reading.longest(store, 20)
    for conversation in found:
        if len({record.role for record in store.get_records(conversation.key, last=4)}) > 1:
            return conversation
    return found[0]


def _kill(scene: Scene, store: ChatStore, target: int) -> bool:
    scene.title("Kill a writer in the middle of its appends")
    before = store.count_messages(KEY)
    words = [sys.executable, "-m", "chatstore.cli.demo_writer", scene.url, scene.namespace, KEY]
    writer = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert writer.stdout is not None  # noqa: S101  # for mypy
    try:
        first = writer.stdout.readline()
        with _clock() as clock:
            told = first + b"".join(writer.stdout.readline() for _ in range(target - 1))
        writer.kill()
        told += writer.stdout.read()  # what it had said before it died
    finally:
        writer.kill()
        writer.stdout.close()
        writer.wait()
    acknowledged = told.count(b"\n")
    if acknowledged < target:
        scene.term.line("   the writer ended by itself, with an error of its own", "red")
        return False
    flushed = ", each flushed" if scene.is_file else ""
    scene.took(f"{target} appends{flushed}", target, clock.seconds)
    scene.say(
        f"process {writer.pid} appended, one message at a time, and was killed (kill -9) after "
        f"{acknowledged} acknowledgements"
    )
    texts = [message.content for message in store.get_messages(KEY, start=before)]
    right = texts == [text_of(n) for n in range(1, len(texts) + 1)]
    extra = len(texts) - acknowledged
    if right and extra in (0, 1):
        scene.say(f"all {acknowledged} acknowledged messages are there, in order", good=True)
        if extra:
            scene.say("and one that was stored when the kill came, before it could be acknowledged")
    else:
        scene.term.line(f"   {len(texts)} messages are there, and not as they should be", "red")
    report = store.check()
    for problem in report.problems:
        scene.term.line(f"   {problem}", "red")
    if report.ok:
        scene.say(f"check: no problems in {plural(report.messages, 'message')}", good=True)
    return right and extra in (0, 1) and report.ok


def _export_and_import(scene: Scene, store: ChatStore) -> bool:
    scene.title(f"Export to {scene.backup}")
    with scene.term.progress("   exporting") as update, _clock() as clock:
        report = store.export_json(scene.backup, progress=update)
    pace = scene.took("export", report.messages, clock.seconds)
    scene.say(
        f"{plural(report.messages, 'message')}, {size(os.stat(scene.backup).st_size)}, {pace}"
    )

    scene.title("Import that elsewhere, and compare")
    elsewhere = os.path.join(scene.folder, "restored.db")
    with open_store(elsewhere) as restored:
        with (
            scene.term.progress("   importing") as update,
            codec.collector_paused(),
            _clock() as clock,
        ):
            report = restored.import_json(scene.backup, progress=update)
        pace = scene.took("import the export", report.messages, clock.seconds)
        scene.say(f"{plural(report.messages, 'message')} into a new SQLite file, {pace}")
        with scene.term.progress("   comparing") as update:
            one, other = content_digest(store, update), content_digest(restored, update)
    scene.say(f"sha256 of the first   {one}")
    scene.say(f"sha256 of the second  {other}")
    if one == other:
        scene.say("equal: keys, order, texts, times, metadata", good=True)
    else:
        scene.term.line("   they differ", "red")
    return one == other


def _farewell(scene: Scene) -> None:
    scene.term.line()
    if not scene.is_file:
        scene.say(f"The store keeps what was imported, in the namespace {NAMESPACE}.")
        return
    scene.term.line(f"{scene.url} and {scene.backup} are yours to look at:")
    scene.term.line(f"    chatstore list --url {scene.url} --sort longest")
    scene.term.line(f"    chatstore doctor {scene.url}")


class _Clock:
    seconds = 0.0


@contextmanager
def _clock() -> Iterator[_Clock]:
    clock = _Clock()
    began = time.perf_counter()
    yield clock
    clock.seconds = time.perf_counter() - began
