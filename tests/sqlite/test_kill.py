"""R1: a process that is killed while it writes loses nothing that it acknowledged."""

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, open_store
from tests.processes import processes
from tests.sqlite.history import fingerprint, look, states
from tests.sqlite.writer import READY, keys_of, write

ENOUGH = 2_000
"""More steps than a process carries out before it is killed."""


@dataclass
class Tally:
    """What the kills met."""

    kills: int = 0
    while_opening: int = 0
    acked: int = 0
    unacked: int = 0


def _run(path: Path, acks: Any, seeds: list[int], options: dict[str, Any]) -> None:
    write(path, acks.fileno(), seeds, ENOUGH, **options)


def kill_one(path: Path, seeds: list[int], after: int | None, **options: Any) -> bytes:
    """Start a writer, kill it some moments after so many acknowledgements; all of these.

    With `None` it is killed at some moment while it opens the store.
    """
    reader, acks = processes.Pipe(duplex=False)
    process = processes.Process(target=_run, args=(path, acks, seeds, options))
    process.start()
    acks.close()
    told = bytearray()
    try:
        if after is None:
            time.sleep(random.uniform(0.02, 0.12))
        else:
            while len(told) < len(READY) + after:
                part = os.read(reader.fileno(), 1 << 16)
                assert part, "the writer failed"
                told += part
            time.sleep(random.uniform(0, 0.004))
        process.kill()
        process.join()
        assert process.exitcode == -9, "the writer ended by itself"
        while part := os.read(reader.fileno(), 1 << 16):
            told += part
    finally:
        reader.close()
        process.close()
    return bytes(told.removeprefix(READY))


def kill_many(folder: Path, rounds: int, writers: int, seed: int, **options: Any) -> Tally:
    """Each round on a file of its own, checked in turn by the raw driver and by the store."""
    chance = random.Random(seed)
    tally = Tally()
    for number in range(rounds):
        path = folder / f"{number}.db"
        seeds = [chance.randrange(1 << 30) for _ in range(writers)]
        after = None if number % 8 == 7 else chance.choice((0, 1, 2, 5, 10, 20, 40))
        acks = kill_one(path, seeds, after, **options)
        tally.kills += 1
        tally.while_opening += after is None
        tally.acked += len(acks)
        if number % 2:
            # It is the store that recovers the file, or finishes making it.
            with open_store(path) as store:
                report = store.check()
                assert report.ok, report.problems
                store.add_message("after", ChatMessage(content="on it goes"))
        state, wrong = look(path) if path.exists() else ({}, [])
        assert not wrong
        for writer, told in enumerate(seeds):
            acked = acks.count(b"%d" % writer)
            known = states(keys_of(writer), told, acked + 1, edits=options["edits"])
            mine = fingerprint({key: state.get(key, []) for key in keys_of(writer)})
            # The step that was on its way is there, or it is not. Nothing else is allowed.
            assert mine in known[acked:], f"round {number}, writer {writer}, {acked} acknowledged"
            tally.unacked += mine == known[acked + 1] != known[acked]
        for leftover in folder.iterdir():
            leftover.unlink()
    return tally


@pytest.mark.parametrize("durability", ["full", "normal"])
@pytest.mark.parametrize(
    ("edits", "writers"),
    [(False, 1), (True, 1), (True, 4)],
    ids=["turns", "edits", "four threads"],
)
def test_nothing_acknowledged_is_lost(
    tmp_path: Path, durability: str, edits: bool, writers: int
) -> None:
    tally = kill_many(tmp_path, 8, writers, seed=11, durability=durability, edits=edits)

    print(tally)
    assert tally.acked > 15


@pytest.mark.torture
@pytest.mark.parametrize("durability", ["full", "normal"])
@pytest.mark.parametrize(
    ("edits", "writers"),
    [(False, 1), (True, 1), (True, 4)],
    ids=["turns", "edits", "four threads"],
)
def test_nothing_acknowledged_is_lost_in_a_thousand_kills(
    tmp_path: Path, durability: str, edits: bool, writers: int
) -> None:
    tally = kill_many(tmp_path, 170, writers, seed=12, durability=durability, edits=edits)

    print(tally)
    assert tally.acked > 170


def test_a_file_outlives_many_deaths(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    expected: dict[str, list[str]] = {}
    for number in range(12):
        acks = kill_one(path, [number], 10, edits=False)
        state, wrong = look(path)
        assert not wrong
        for key, texts in expected.items():
            assert state[key][: len(texts)] == texts
        # Each death leaves whole turns behind, on top of all those before it.
        added = sum(map(len, state.values())) - sum(map(len, expected.values()))
        assert added in (2 * len(acks), 2 * len(acks) + 2)
        expected = state
