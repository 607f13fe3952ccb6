"""R3, R4: many writers at once, in processes and in threads. Nothing is lost, and order is kept."""

import itertools
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatstore import ABSENT, ChatMessage, ConflictError, open_store
from chatstore.store import ChatStore
from tests.processes import processes
from tests.sqlite.history import look, open_raw


def turn(writer: int, number: int) -> list[ChatMessage]:
    return [ChatMessage(content=f"{writer} {number} {half}") for half in "ab"]


def in_processes(crowd: int, work: Callable[..., None], *args: Any) -> None:
    """Run the work in so many processes, which begin together; all must end well."""
    start = processes.Barrier(crowd)
    members = [
        processes.Process(target=_begin_together, args=(start, work, number, *args))
        for number in range(crowd)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join(240)
    codes = [member.exitcode for member in members]
    for member in members:
        member.kill()
        member.join()
        member.close()
    assert codes == [0] * crowd


def _begin_together(start: Any, work: Callable[..., None], number: int, *args: Any) -> None:
    start.wait(60)
    work(number, *args)


def in_threads(crowd: int, work: Callable[[int], object]) -> None:
    """Run the work in so many threads; an exception of one is raised here."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(crowd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def examine(path: Path, writers: int, turns: int, key: str = "k") -> int:
    """All turns are there, whole, each writer's in order. The longest that one was passed over.

    That is the number of turns of others between two of its own, while it had more to write.
    """
    state, wrong = look(path)
    assert not wrong
    words = [text.split() for text in state[key]]
    assert len(words) == 2 * writers * turns
    expected = itertools.cycle("ab")
    assert all(half == next(expected) for _, _, half in words)
    order = [(int(writer), int(number)) for writer, number, half in words if half == "a"]
    assert order == [(int(writer), int(number)) for writer, number, half in words if half == "b"]
    for writer in range(writers):
        assert [number for who, number in order if who == writer] == list(range(turns))
    with closing(open_raw(path)) as conn:
        rows = conn.execute(
            "SELECT ordinal, serial FROM chatstore_message ORDER BY conversation_id, ordinal"
        ).fetchall()
    assert len({serial for _, serial in rows}) == len(rows)
    last = dict.fromkeys(range(writers), 0)
    longest = 0
    for place, (writer, number) in enumerate(order):
        if number:
            longest = max(longest, place - last[writer] - 1)
        last[writer] = place
    with open_store(path) as store:
        report = store.check()
        assert report.ok, report.problems
    return longest


def _append(writer: int, path: Path, turns: int, options: dict[str, Any]) -> None:
    with open_store(path, **options) as store:
        for number in range(turns):
            store.add_messages("k", turn(writer, number))


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_eight_processes_append_to_one_key(tmp_path: Path, durability: str) -> None:
    path = tmp_path / "chat.db"
    open_store(path).close()
    in_processes(8, _append, path, 125, {"durability": durability})

    longest = examine(path, 8, 125)
    print("passed over at most", longest)
    # Seven if all took turns. A writer that starves is passed over until the others are done.
    assert longest < 7 * 125


@pytest.mark.torture
def test_eight_processes_append_a_thousand_turns(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    in_processes(8, _append, path, 1_000, {})

    longest = examine(path, 8, 1_000)
    print("passed over at most", longest)
    assert longest < 7 * 1_000 / 2


@pytest.mark.parametrize(("threads", "turns"), [(8, 250), (32, 60)])
def test_threads_append_to_one_key(tmp_path: Path, threads: int, turns: int) -> None:
    path = tmp_path / "chat.db"

    def append(writer: int) -> None:
        for number in range(turns):
            store.add_messages("k", turn(writer, number))

    with open_store(path) as store:
        in_threads(threads, append)
    assert examine(path, threads, turns) < threads * turns / 2


@pytest.mark.torture
def test_thirty_two_threads_append_five_hundred_turns(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"

    def append(writer: int) -> None:
        for number in range(500):
            store.add_messages("k", turn(writer, number))

    with open_store(path) as store:
        in_threads(32, append)
    examine(path, 32, 500)


# Edits among appends


def _append_or_edit(writer: int, path: Path, turns: int) -> None:
    """Half of them append; the others put in, take out again and look."""
    chance = random.Random(writer)
    with open_store(path, durability="normal") as store:
        for number in range(turns):
            if writer % 2 == 0:
                store.add_messages("k", turn(writer, number))
                continue
            for half in "ab":
                text = f"{writer} {number} {half}"
                store.add_message("k", ChatMessage(content=text), chance.randrange(-50, 50))
            if number % 5 == 0:
                store.update_message("k", -1, store.get_message("k", -1) or ChatMessage())
            window = store.get_messages("k", start=10, stop=20)
            assert len(window) in range(11)


def test_inserts_among_appends_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    writers, turns = 4, 60
    open_store(path).close()
    in_processes(writers, _append_or_edit, path, turns)

    state, wrong = look(path)
    assert not wrong
    # An update wrote what another may have replaced meanwhile: it is the one that may repeat.
    words = [tuple(text.split()) for text in state["k"]]
    assert len(words) == 2 * writers * turns
    for writer in range(0, writers, 2):
        mine = [int(number) for who, number, half in words if who == f"{writer}" and half == "a"]
        assert mine == sorted(mine)
    with open_store(path) as store:
        report = store.check()
        assert report.ok, report.problems


def test_each_message_is_taken_by_one(tmp_path: Path) -> None:
    taken: list[str] = []

    def take(number: int) -> None:
        pick: Callable[[], ChatMessage | None] = (
            (lambda: store.delete_last_message("k"))
            if number % 2
            else (lambda: store.delete_message("k", 0))
        )
        while message := pick():
            taken.append(str(message.content))

    with open_store(tmp_path / "chat.db", durability="normal") as store:
        texts = [f"{number}" for number in range(600)]
        store.add_messages("k", [ChatMessage(content=text) for text in texts])
        in_threads(8, take)
        assert store.get_keys() == []
    assert sorted(taken) == sorted(texts)


def _send_again(writer: int, path: Path) -> None:
    with open_store(path, durability="normal") as store:
        for number in range(100):
            message = ChatMessage(content=f"{number}", id=f"m{number}")
            assert store.add_message("k", message) == f"m{number}"


def test_one_id_from_many_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    in_processes(6, _send_again, path)
    state, wrong = look(path)
    assert not wrong
    assert state["k"] == [f"{number}" for number in range(100)]


def _count_up(writer: int, path: Path, times: int) -> None:
    with open_store(path, durability="normal") as store:
        for _ in range(times):
            while not _once(store):
                pass


def _once(store: ChatStore) -> bool:
    told = store.get_conversation("k")
    seen = told.revision if told is not None else ABSENT
    count = told.count if told is not None else 0
    try:
        store.add_message("k", ChatMessage(content=f"{count}"), expected_revision=seen)
    except ConflictError:
        return False
    return True


def test_an_expected_revision_lets_one_through(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    in_processes(6, _count_up, path, 40)
    state, wrong = look(path)
    assert not wrong
    # Each wrote the count that it had seen, and nobody came between.
    assert state["k"] == [f"{number}" for number in range(240)]


# Readers


def _replace(_writer: int, path: Path, rounds: int) -> None:
    with open_store(path, durability="normal") as store:
        for number in range(rounds):
            size = 5 + number % 200
            store.set_messages("k", version(number, size))


def version(number: int, size: int) -> list[ChatMessage]:
    return [ChatMessage(content=f"{number} {place}") for place in range(size)]


def _read(_number: int, path: Path, rounds: int) -> None:
    """Whatever is seen, through whichever window, is of one version, and at its place."""
    windows: list[dict[str, Any]] = [{}, {"last": 5}, {"start": 2, "stop": 90}, {"start": -4}]
    with open_store(path) as store:
        seen = -1
        while seen < rounds - 1:
            for window in windows:
                messages = store.get_messages("k", **window)
                words = [str(message.content).split() for message in messages]
                number = int(words[0][0])
                whole = range(5 + number % 200)
                if "last" in window:
                    whole = whole[-window["last"] :]
                whole = whole[window.get("start") : window.get("stop")]
                assert words == [[str(number), str(place)] for place in whole]
                assert number >= seen
                seen = number


def _replace_or_read(number: int, path: Path, rounds: int) -> None:
    (_read if number else _replace)(number, path, rounds)


def test_a_reader_sees_the_old_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with open_store(path) as store:
        store.set_messages("k", version(0, 5))
    in_processes(3, _replace_or_read, path, 200)


def test_what_was_acknowledged_is_seen_by_all(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with open_store(path) as one, open_store(path) as other:
        for number in range(200):
            writer, reader = (one, other) if number % 2 else (other, one)
            writer.add_message("k", ChatMessage(content=f"{number}"))
            assert reader.count_messages("k") == number + 1
            assert reader.get_messages("k", last=1)[0].content == f"{number}"


def test_an_iteration_among_writers_neither_repeats_nor_skips(tmp_path: Path) -> None:
    stop = threading.Event()

    def disturb(number: int) -> None:
        chance = random.Random(number)
        while not stop.is_set():
            # In front, so that every place moves; then gone again.
            store.add_message("k", ChatMessage(content="new"), chance.randrange(20))
            store.delete_message("k", chance.randrange(10))

    with open_store(tmp_path / "chat.db", durability="normal") as store:
        store.add_messages("k", [ChatMessage(content="front")] * 400)
        texts = [f"{number}" for number in range(3_000)]
        store.add_messages("k", [ChatMessage(content=text) for text in texts])
        writers = [threading.Thread(target=disturb, args=(number,)) for number in range(2)]
        for writer in writers:
            writer.start()
        try:
            for _ in range(5):
                seen = [str(message.content) for message in store.iter_messages("k")]
                kept = [text for text in seen if text.isdigit()]
                assert kept == texts, Counter(kept).most_common(3)
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        assert store.check().ok


def test_a_snapshot_of_all_is_of_one_moment(tmp_path: Path) -> None:
    """Two conversations that are always written one after the other, exported meanwhile."""
    stop = threading.Event()

    def write() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            store.add_message("a", ChatMessage(content=f"{number}"))
            store.add_message("b", ChatMessage(content=f"{number}"))

    with open_store(tmp_path / "chat.db", durability="normal") as store:
        store.add_message("a", ChatMessage(content="-1"))
        store.add_message("b", ChatMessage(content="-1"))
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(15):
                file = tmp_path / f"{number}.jsonl"
                store.export_json(file)
                with open_store("memory://") as copy:
                    copy.import_json(file)
                    ahead = copy.count_messages("a") - copy.count_messages("b")
                assert ahead in {0, 1}
        finally:
            stop.set()
            writer.join()


def test_the_raw_driver_is_kept_out_for_no_longer_than_a_transaction(tmp_path: Path) -> None:
    """A program of somebody else's over the same file gets its turn."""
    path = tmp_path / "chat.db"
    stop = threading.Event()

    def write(writer: int) -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            store.add_messages("k", turn(writer, number))

    with open_store(path, durability="normal") as store:
        store.add_message("k", ChatMessage(content="0"))
        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as conn:
                conn.execute("CREATE TABLE IF NOT EXISTS theirs (x)")
                for number in range(20):
                    conn.execute("INSERT INTO theirs VALUES (?)", (number,))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert store.check().ok
