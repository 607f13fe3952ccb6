"""A power cut at every sync and every acknowledgement, replayed from the system calls.

R2: with durability="full" nothing acknowledged is lost, with "normal" only the newest; nothing is
ever corrupt or torn. Each state is one that a disk may be left in; see `power`.
"""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chatstore import ChatMessage, open_store
from tests.sqlite.history import damage, fingerprint, open_raw, read_state, states
from tests.sqlite.power import CALLS, Crash, Disk
from tests.sqlite.strace import system_calls
from tests.sqlite.writer import keys_of


@dataclass
class Tally:
    """What became of the states."""

    states: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    corrupt: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    lossy: int = 0
    worst_loss: int = 0


def crashes(
    tmp_path: Path, mode: str, seeds: list[int], count: int, samples: int
) -> Iterator[Crash]:
    folder = tmp_path / "traced"
    folder.mkdir()
    path = folder / "chat.db"
    numbers = ",".join(map(str, seeds))
    words = ["-m", "tests.sqlite.writer", str(path), numbers, str(count), mode, "20"]
    calls = system_calls(words, CALLS, tmp_path / "log")
    # Shared memory and the lock file mean nothing after a restart.
    disk = Disk(folder, lambda name: name.endswith(("-shm", "-lock")))
    return disk.crashes(calls, seed=seeds[0], samples=samples)


def judge(tmp_path: Path, crashed: Iterator[Crash], seeds: list[int], count: int) -> Tally:
    """Restart after each crash, and compare what is there with what must be."""
    known = [states(keys_of(number), seed, count, edits=True) for number, seed in enumerate(seeds)]
    tally = Tally()
    folder = tmp_path / "restarted"
    judged: set[int] = set()
    for crash in crashed:
        tally.states += 1
        tally.kinds[crash.kind] += 1
        same = hash((tuple(sorted(crash.files.items())), crash.acks))
        if same in judged:  # half of them: what is synced and what is written is often the same
            continue
        judged.add(same)
        name = f"state {tally.states} ({crash.kind}), {len(crash.acks)} acknowledged"
        folder.mkdir()
        for file, content in crash.files.items():
            (folder / file).write_bytes(content)
        path = folder / "chat.db"
        if path.exists():
            _compare(path, crash, known, tally, name)
        elif crash.acks:
            tally.torn.append(f"{name}: no file")
        if len(judged) % 10 == 0 and not (tally.corrupt or tally.torn):
            _go_on(path)
        shutil.rmtree(folder)
    return tally


def _compare(path: Path, crash: Crash, known: list[list[int]], tally: Tally, name: str) -> None:
    try:
        with closing(open_raw(path)) as conn:
            found, wrong = read_state(conn), damage(conn)
    except (sqlite3.DatabaseError, ValueError) as error:  # also a payload that is no JSON any more
        tally.corrupt.append(f"{name}: {error}")
        return
    if wrong:
        tally.corrupt.append(f"{name}: {wrong[0]}")
        return
    loss = 0
    for number, fingerprints in enumerate(known):
        mine = {key: found.get(key, []) for key in keys_of(number)}
        acked = crash.acks.count(b"%d" % number)
        # The steps since, of which at most one is on its way, may be there or not: all or nothing.
        whole = [n for n, one in enumerate(fingerprints[: acked + 2]) if one == fingerprint(mine)]
        if not whole:
            tally.torn.append(name)
            return
        loss = max(loss, acked - whole[-1])
    tally.lossy += loss > 0
    tally.worst_loss = max(tally.worst_loss, loss)


def _go_on(path: Path) -> None:
    """The store itself finds nothing wrong, and is written as before."""
    with open_store(path, durability="normal") as store:
        store.add_message("after", ChatMessage(content="the power is back"))
        assert store.get_messages("after")
        report = store.check()
        assert report.ok, report.problems


@pytest.mark.parametrize(
    ("seeds", "count"), [([1], 40), ([2, 3, 4], 20)], ids=["alone", "group commit"]
)
def test_full_loses_nothing(tmp_path: Path, seeds: list[int], count: int) -> None:
    tally = judge(tmp_path, crashes(tmp_path, "full", seeds, count, 2), seeds, count)

    print(tally)
    assert tally.states >= 200
    assert not tally.corrupt
    assert not tally.torn
    assert tally.lossy == 0


def test_normal_loses_only_the_newest(tmp_path: Path) -> None:
    tally = judge(tmp_path, crashes(tmp_path, "normal", [5], 40, 2), [5], 40)

    print(tally)
    assert tally.states >= 100
    assert not tally.corrupt
    assert not tally.torn
    # Else there would be no difference to `full`, or this disk would lose too little.
    assert tally.lossy > 0


def test_the_disk_is_harsh_enough_to_find_what_is_not_synced(tmp_path: Path) -> None:
    tally = judge(tmp_path, crashes(tmp_path, "off", [6], 40, 4), [6], 40)

    print(tally)
    assert tally.corrupt or tally.torn


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(3))
def test_full_loses_nothing_in_thousands_of_states(tmp_path: Path, seed: int) -> None:
    seeds, count = [100 * seed + n for n in range(1, 2 + seed)], 240 if seed == 0 else 160
    tally = judge(tmp_path, crashes(tmp_path, "full", seeds, count, 6), seeds, count)

    print(tally)
    assert tally.states >= 2_000
    assert not tally.corrupt
    assert not tally.torn
    assert tally.lossy == 0


@pytest.mark.torture
def test_normal_loses_only_the_newest_in_thousands_of_states(tmp_path: Path) -> None:
    tally = judge(tmp_path, crashes(tmp_path, "normal", [7], 400, 6), [7], 400)

    print(tally)
    assert tally.states >= 2_000
    assert not tally.corrupt
    assert not tally.torn
    assert tally.lossy > 0
