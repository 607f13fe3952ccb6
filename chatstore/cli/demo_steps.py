"""The steps of the demo, in the order in which they are played."""

import os
import subprocess
import sys

from chatstore import ChatMessage, ChatStore, Conversation, collector, open_store
from chatstore.cli import listing, reading, stores
from chatstore.cli.demo_place import KEY, MARK, NAMESPACE
from chatstore.cli.demo_scene import Scene, clocked
from chatstore.cli.demo_writer import text_of
from chatstore.cli.terminal import moment, number, plural, size
from chatstore.importers import import_file
from chatstore.importers.between import content_digest

_INTRO = "This store was made by `chatstore demo`, which may delete it and make it again."


def import_data(scene: Scene, data: str) -> None:
    """Put the conversations into the store."""
    scene.title(f"Import {os.path.basename(data)} into {stores.where(scene.url)}")
    with (
        scene.term.progress("   importing") as update,
        collector.paused(),
        clocked() as clock,  # opening and closing included
        scene.open() as store,
    ):
        store.add_message(KEY, ChatMessage(_INTRO, role="system"))
        store.set_metadata(KEY, MARK)
        report = import_file(store, data, progress=update)
    pace = scene.took("import", report.messages, clock.seconds)
    scene.say(
        f"{plural(report.messages, 'message')} in {plural(report.conversations, 'conversation')}, "
        f"{'one transaction, ' if scene.is_file else ''}{pace}"
    )


def list_longest(scene: Scene, store: ChatStore) -> None:
    """Show the longest conversations."""
    scene.title("The longest conversations")
    with clocked() as clock:
        found = listing.longest(store, 5)
    rows = [(c.key, number(c.count), moment(c.updated_at)) for c in found]
    scene.term.table(
        (("key", "left"), ("messages", "right"), ("last message", "left")), rows, indent=3
    )
    scene.took("list all conversations", 0, clock.seconds)


def tail_and_append(scene: Scene, store: ChatStore) -> None:
    """Show the end of a conversation, and append a turn to it."""
    found = _worth_reading(store)
    scene.title(f"The end of {found.key}")
    with clocked() as clock:
        records = store.get_records(found.key, last=4)
    reading.show_messages(scene.term, records, found.count - len(records), "   ")
    pace = scene.took("read the last 4", 0, clock.seconds)
    scene.say(f"the last 4 of {number(found.count)} messages: {pace}")

    scene.title("Append a turn")
    turn = [
        ChatMessage("Shall we go on?", role="user"),
        ChatMessage("Of course: nothing was forgotten.", role="assistant"),
    ]
    with clocked() as clock:
        store.add_messages(found.key, turn)
    records = store.get_records(found.key, last=2)
    reading.show_messages(scene.term, records, found.count, "   ")
    pace = scene.took("append a turn of 2", 0, clock.seconds)
    scene.say(f"stored{', and flushed to the disk' if scene.is_file else ''}: {pace}")


def _worth_reading(store: ChatStore) -> Conversation:
    """The longest conversation in which, at the end, more than one speaks; else the longest."""
    found = listing.longest(store, 20)
    for conversation in found:
        if len({record.role for record in store.get_records(conversation.key, last=4)}) > 1:
            return conversation
    return found[0]


def kill_writer(scene: Scene, store: ChatStore, target: int) -> bool:
    """Kill a process that appends; whether all that it acknowledged, `target` or more, is there."""
    scene.title("Kill a writer in the middle of its appends")
    before = store.count_messages(KEY)
    words = [sys.executable, "-m", "chatstore.cli.demo_writer", scene.url, scene.namespace, KEY]
    writer = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert writer.stdout is not None  # noqa: S101  # for mypy
    try:
        first = writer.stdout.readline()
        with clocked() as clock:
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


def export_and_import(scene: Scene, store: ChatStore) -> bool:
    """Move everything through an export; whether it is equal."""
    scene.title(f"Export to {scene.backup}")
    with scene.term.progress("   exporting") as update, clocked() as clock:
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
            collector.paused(),
            clocked() as clock,
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


def farewell(scene: Scene) -> None:
    """Say what is left to look at."""
    scene.term.line()
    if not scene.is_file:
        scene.say(f"The store keeps what was imported, in the namespace {NAMESPACE}.")
        return
    scene.term.line(f"{scene.url} and {scene.backup} are yours to look at:")
    scene.term.line(f"    chatstore list --url {scene.url} --sort longest")
    scene.term.line(f"    chatstore doctor {scene.url}")
