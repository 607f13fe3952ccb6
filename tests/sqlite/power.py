"""A disk that loses power: what system calls leave behind when only synced data is sure.

Until a file is synced, any part of what was written to it may be there and any part missing, in any
order; a sector of 512 bytes is written whole or not at all. Until a folder is synced, the same
holds for its names. This is harsher than any real file system.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.sqlite.strace import Call

SECTOR = 512
CALLS = (
    *("open", "openat", "close", "write", "pwrite64", "ftruncate", "fsync", "fdatasync"),
    *("unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "fallocate"),
)


@dataclass(frozen=True)
class Write:
    offset: int
    data: bytes

    def on(self, content: bytearray) -> None:
        end = self.offset + len(self.data)
        content.extend(bytes(max(0, end - len(content))))
        content[self.offset : end] = self.data

    def torn(self, chance: random.Random) -> list["Write"]:
        """Some of its sectors."""
        first = self.offset // SECTOR
        last = (self.offset + len(self.data) - 1) // SECTOR
        parts = []
        for sector in range(first, last + 1):
            low = max(sector * SECTOR, self.offset)
            high = min((sector + 1) * SECTOR, self.offset + len(self.data))
            if chance.random() < 0.5:
                parts.append(Write(low, self.data[low - self.offset : high - self.offset]))
        return parts


@dataclass(frozen=True)
class Truncate:
    size: int

    def on(self, content: bytearray) -> None:
        del content[self.size :]
        content.extend(bytes(self.size - len(content)))


Change = Write | Truncate
Choice = Callable[[list[Change]], list[Change]]


@dataclass(eq=False)
class File:
    """What of a file is on the disk, and what may be."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            change.on(self.safe)
        self.pending.clear()

    def after(self, choose: Choice) -> bytes:
        content = bytearray(self.safe)
        for change in choose(self.pending):
            change.on(content)
        return bytes(content)


@dataclass(frozen=True)
class Crash:
    """A state of the folder after a power cut, and what had been acknowledged before it."""

    files: dict[str, bytes]
    acks: bytes
    kind: str


class Disk:
    """One folder, without the files whose names `skip` accepts."""

    def __init__(self, folder: Path, skip: Callable[[str], bool]) -> None:
        self._folder = str(folder)
        self._skip = skip
        self._descriptors: dict[int, File | str] = {}
        # The names on the disk; those that may be there, in the order in which that came about.
        self._safe: dict[str, File] = {}
        self._names: dict[str, File] = {}
        self._renamings: list[tuple[str, File | None]] = []
        self.syncs = 0

    def crashes(self, calls: list[Call], seed: int, samples: int) -> Iterator[Crash]:
        """States at each sync and at each acknowledgement (a write on descriptor 1)."""
        chance = random.Random(seed)
        acks = b""
        for call in calls:
            acknowledged = call.name == "write" and call.args[0] == "1"
            if acknowledged:
                acks += call.data(1)
            if acknowledged or call.name in ("fsync", "fdatasync"):
                yield from self._states(acks, chance, samples)
            self._apply(call)

    def _states(self, acks: bytes, chance: random.Random, samples: int) -> Iterator[Crash]:
        yield self._crash(acks, "none", [], lambda pending: [])
        files = [*self._safe.values(), *self._names.values()]
        if not self._renamings and not any(file.pending for file in files):
            return
        yield self._crash(acks, "all", self._renamings, lambda pending: pending)
        for _ in range(samples):
            likely = chance.choice((0.1, 0.5, 0.9))
            torn = chance.random() < 0.5

            renamings = [renaming for renaming in self._renamings if chance.random() < 0.5]
            yield self._crash(
                acks, "torn" if torn else "some", renamings, _some(chance, likely, torn)
            )

    def _crash(
        self, acks: bytes, kind: str, renamings: list[tuple[str, File | None]], choose: Choice
    ) -> Crash:
        names: dict[str, File | None] = {**self._safe, **dict(renamings)}
        files = {name: file.after(choose) for name, file in names.items() if file is not None}
        return Crash(files, acks, kind)

    # What the calls do

    def _apply(self, call: Call) -> None:
        if call.result < 0:
            return
        getattr(self, f"_{call.name}")(call)

    def _name(self, path: bytes) -> str | None:
        text = path.decode()
        if text == self._folder:
            return ""
        folder, _, name = text.rpartition("/")
        return name if folder == self._folder and not self._skip(name) else None

    def _open(self, call: Call, place: int = 0) -> None:
        name = self._name(call.data(place))
        self._descriptors.pop(call.result, None)
        if name is None:
            return
        if name == "":
            self._descriptors[call.result] = ""
            return
        flags = call.args[place + 1].split("|")
        if name not in self._names:
            assert "O_CREAT" in flags
            self._rename_to(name, File())
        file = self._names[name]
        if "O_TRUNC" in flags:
            file.pending.append(Truncate(0))
        self._descriptors[call.result] = file

    def _openat(self, call: Call) -> None:
        self._open(call, 1)

    def _close(self, call: Call) -> None:
        self._descriptors.pop(int(call.args[0]), None)

    def _file(self, call: Call) -> File | None:
        held = self._descriptors.get(int(call.args[0]))
        return held if isinstance(held, File) else None

    def _pwrite64(self, call: Call) -> None:
        file = self._file(call)
        if file is not None:
            file.pending.append(Write(int(call.args[3]), call.data(1)[: call.result]))

    def _write(self, call: Call) -> None:
        assert self._file(call) is None, "SQLite wrote without saying where"

    def _ftruncate(self, call: Call) -> None:
        file = self._file(call)
        if file is not None:
            file.pending.append(Truncate(int(call.args[1])))

    def _fsync(self, call: Call) -> None:
        held = self._descriptors.get(int(call.args[0]))
        if isinstance(held, File):
            self.syncs += 1
            held.sync()
        elif held is not None:
            self._safe = dict(self._names)
            self._renamings.clear()

    _fdatasync = _fsync

    def _unlink(self, call: Call, place: int = 0) -> None:
        name = self._name(call.data(place))
        if name:
            self._rename_to(name, None)

    def _unlinkat(self, call: Call) -> None:
        self._unlink(call, 1)

    def _rename_to(self, name: str, file: File | None) -> None:
        if file is None:
            self._names.pop(name, None)
        else:
            self._names[name] = file
        self._renamings.append((name, file))

    def _rename(self, call: Call) -> None:
        old, new = self._name(call.data(0)), self._name(call.data(1))
        assert old is None is new, "nothing of a database is renamed while it is used"

    def _renameat(self, call: Call) -> None:
        old, new = self._name(call.data(1)), self._name(call.data(3))
        assert old is None is new, "nothing of a database is renamed while it is used"

    _renameat2 = _linkat = _renameat
    _link = _rename

    def _fallocate(self, call: Call) -> None:
        assert self._file(call) is None, "SQLite reserved room"


def _some(chance: random.Random, likely: float, torn: bool) -> Choice:
    """Keeps so large a part of the changes; of one of them only some sectors, if torn."""

    def choose(pending: list[Change]) -> list[Change]:
        kept = [change for change in pending if chance.random() < likely]
        writes = [change for change in kept if isinstance(change, Write)]
        if not torn or not writes:
            return kept
        victim = chance.choice(writes)
        place = kept.index(victim)
        return [*kept[:place], *victim.torn(chance), *kept[place + 1 :]]

    return choose
