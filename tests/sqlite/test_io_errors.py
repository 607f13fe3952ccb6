"""R17: a disk that fails now and then. What was acknowledged is there, what was refused is not."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chatstore import open_store
from tests.processes import run_python

WRITER = """
import sys
from chatstore import ChatMessage, ChatStoreError, open_store

path, durability, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = None
for n in range(turns):
    try:
        if store is None:
            store = open_store(path, durability=durability)
        turn = [ChatMessage(f"{n} {part} " + "x" * (n * 37 % 3000)) for part in "ab"]
        (store.set_messages if n % 10 == 9 else store.add_messages)(f"k{n % 3}", turn)
    except ChatStoreError as error:
        print("failed", n, type(error).__name__, flush=True)
    else:
        print("stored", n, flush=True)
    if n % 100 == 99 and store is not None:
        store.close()
        store = None
"""

FAULTS = {"pwrite64": "40+47", "fdatasync,fsync": "10+23", "pread64": "60+997"}
"""System calls, and which of them fail: the first, and every so many from there on."""


def expected(report: list[list[str]], turns: int) -> dict[str, list[int]]:
    """The turns that each conversation must hold, by what the writer was told."""
    told = {int(n): verb for verb, n, *_ in report}
    assert list(told) == list(range(turns))
    held: dict[str, list[int]] = {"k0": [], "k1": [], "k2": []}
    for n, verb in told.items():
        if verb == "stored":
            key = f"k{n % 3}"
            held[key] = [n] if n % 10 == 9 else [*held[key], n]
    return held


@pytest.mark.parametrize("durability", ["full", "normal"])
@pytest.mark.parametrize("calls", FAULTS)
def test_each_write_is_told_the_truth(tmp_path: Path, calls: str, durability: str) -> None:
    strace = shutil.which("strace")
    assert strace is not None, "strace is missing, which makes system calls fail: install strace"
    path, turns = tmp_path / "chat.db", 300
    with open_store(path):
        pass
    inject = f"inject={calls}:error=EIO:when={FAULTS[calls]}"
    options = [strace, "-f", "--seccomp-bpf", "-qq", "-o", os.devnull]
    options += ["-e", f"trace={calls}", "-e", inject]
    # Only the writer's own files may fail: Python reads its modules by other calls.
    done = run_python(["-c", WRITER, path, durability, str(turns)], before=[*options, "--"])
    assert done.returncode == 0, done.stderr[-2000:]
    report = [line.split() for line in done.stdout.splitlines()]
    failures = {words[2] for words in report if words[0] == "failed"}
    if (calls, durability) == ("fdatasync,fsync", "normal"):
        assert failures == set()  # only a checkpoint waits for the disk, and nobody for that
    elif calls == "pread64":
        # To SQLite, a page that cannot be read is damage: nothing is written until it is reopened.
        assert failures == {"StoreCorruptError"}
    else:
        assert failures == {"StoreUnavailableError"}
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = conn.execute(
            "SELECT c.key, m.payload FROM chatstore_message m "
            "JOIN chatstore_conversation c ON c.id = m.conversation_id ORDER BY c.key, m.ordinal"
        ).fetchall()
    held: dict[str, list[str]] = {"k0": [], "k1": [], "k2": []}
    for key, payload in rows:
        text = json.loads(payload)["blocks"][0]["text"]
        held[key].append(" ".join(text.split()[:2]))
    wanted = expected(report, turns)
    assert held == {key: [f"{n} {p}" for n in ns for p in "ab"] for key, ns in wanted.items()}
    with open_store(path) as store:
        assert store.check().problems == []
