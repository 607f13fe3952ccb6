"""Many at once: threads over the face that blocks, tasks over the one that awaits."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from chatstore import ABSENT, ChatMessage, ChatStore, ConflictError
from chatstore.testing.backend import Backend
from chatstore.testing.conformance.base import KEY, Base, OpenStore, describe, held, say, texts

T = TypeVar("T")

WORKERS = 8


def together(work: Callable[[int], T], workers: int = WORKERS) -> list[T]:
    """What the work returns to each of the workers, who begin at the same moment."""
    start = threading.Barrier(workers)

    def begin(number: int) -> T:
        start.wait()
        return work(number)

    with hasty(), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(begin, range(workers)))


@contextmanager
def hasty() -> Iterator[None]:
    """Threads take turns a thousand times as often, and so in the middle of things."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Threads(Base):
    """Nothing is lost, torn or done twice."""

    def test_appends_keep_the_order_of_each_thread(
        self, store: ChatStore, backend: Backend
    ) -> None:
        def work(number: int) -> None:
            for turn in range(15):
                store.add_message(KEY, ChatMessage(f"{number}:{turn}"))

        together(work)
        spoken = held(store)
        assert len(spoken) == WORKERS * 15
        for number in range(WORKERS):
            mine = [text for text in spoken if text and text.startswith(f"{number}:")]
            assert mine == [f"{number}:{turn}" for turn in range(15)]
        assert describe(store).count == len(backend.raw_payloads(KEY)) == WORKERS * 15
        assert backend.faults(KEY) == []

    def test_batches_stay_in_one_piece(self, store: ChatStore) -> None:
        def work(number: int) -> None:
            for turn in range(6):
                store.add_messages(KEY, say(*(f"{number}:{turn}:{i}" for i in range(5))))

        together(work)
        spoken = [text or "" for text in held(store)]
        assert len(set(spoken)) == len(spoken) == WORKERS * 30
        for place in range(0, len(spoken), 5):
            name = spoken[place].rpartition(":")[0]
            assert spoken[place : place + 5] == [f"{name}:{i}" for i in range(5)]

    def test_inserts_beside_appends_lose_nothing(self, store: ChatStore, backend: Backend) -> None:
        def work(number: int) -> None:
            for turn in range(12):
                idx = 0 if number % 2 else None
                store.add_message(KEY, ChatMessage(f"{number}:{turn}"), idx)

        together(work)
        expected = {f"{number}:{turn}" for number in range(WORKERS) for turn in range(12)}
        assert len(held(store)) == len(expected)
        assert set(held(store)) == expected
        assert backend.faults(KEY) == []

    def test_a_message_is_popped_once(self, store: ChatStore) -> None:
        spoken = [f"{number}" for number in range(48)]
        store.add_messages(KEY, say(*spoken))

        def work(number: int) -> list[str | None]:
            found = []
            while message := store.delete_message(KEY, -1 if number % 2 else 0):
                found.append(message.content)
            return found

        popped = [text for found in together(work) for text in found]
        assert sorted(popped, key=str) == sorted(spoken)
        assert store.get_keys() == []

    def test_a_retry_beside_the_first_try_is_stored_once(self, store: ChatStore) -> None:
        batch = [ChatMessage(f"{number}", id=f"m{number}") for number in range(10)]
        ids = together(lambda _: store.add_messages(KEY, batch))
        assert ids == [[message.id for message in batch]] * WORKERS
        assert store.get_messages(KEY) == batch

    def test_one_of_many_begins_a_conversation(self, store: ChatStore) -> None:
        def work(number: int) -> bool:
            try:
                store.add_message(KEY, ChatMessage(f"{number}"), expected_revision=ABSENT)
            except ConflictError:
                return False
            return True

        assert sum(together(work)) == 1
        assert store.count_messages(KEY) == 1

    def test_one_of_many_makes_a_copy(self, store: ChatStore) -> None:
        for number in range(WORKERS):
            store.add_messages(f"from {number}", say("a", "b"))

        def work(number: int) -> int:
            made = 0
            for turn in range(5):
                try:
                    store.copy_conversation(f"from {number}", f"to {turn}")
                    made += 1
                except ConflictError:
                    continue
            return made

        assert sum(together(work)) == 5
        assert [held(store, f"to {turn}") for turn in range(5)] == [["a", "b"]] * 5

    def test_no_update_is_lost_by_those_who_expect_a_revision(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("0"))

        def work(number: int) -> None:
            done = 0
            while done < 4:
                conversation = describe(store)
                value = int(store.get_messages(KEY)[0].content or "")
                try:
                    store.update_message(
                        KEY,
                        0,
                        ChatMessage(f"{value + 1}"),
                        expected_revision=conversation.revision,
                    )
                    done += 1
                except ConflictError:
                    continue

        together(work, 4)
        assert held(store) == ["16"]

    def test_a_reader_sees_the_old_or_the_new(self, store: ChatStore) -> None:
        old, new = [f"old {n}" for n in range(40)], [f"new {n}" for n in range(60)]
        store.set_messages(KEY, say(*old))
        done = threading.Event()
        torn: list[object] = []

        def read() -> None:
            while not done.is_set():
                spoken = held(store)
                if spoken not in (old, new):
                    torn.append(spoken)
                if store.count_messages(KEY) not in (40, 60):
                    torn.append("count")
                if texts(store.get_messages(KEY, last=5)) not in (old[-5:], new[-5:]):
                    torn.append("last")

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for turn in range(20):
            store.set_messages(KEY, say(*(old if turn % 2 else new)))
        done.set()
        for reader in readers:
            reader.join()
        assert torn == []

    def test_many_conversations_at_once(self, store: ChatStore) -> None:
        def work(number: int) -> None:
            key = f"key-{number}"
            for turn in range(8):
                store.add_message(key, ChatMessage(f"{turn}"))
                store.set_metadata(key, {"turn": turn})
            store.delete_message(key, 0)

        together(work)
        for number in range(WORKERS):
            assert held(store, f"key-{number}") == [f"{turn}" for turn in range(1, 8)]
            assert describe(store, f"key-{number}").metadata == {"turn": 7}
        assert store.check().ok

    def test_the_first_use_may_be_everybodys(self, open_store: OpenStore) -> None:
        store = open_store()
        together(lambda number: store.add_message(KEY, ChatMessage(f"{number}")))
        assert sorted(text or "" for text in held(store)) == [f"{n}" for n in range(WORKERS)]
