"""What calls on a store in memory look at: not at every message that there is."""

from collections.abc import Iterator

from chatstore import ChatMessage, SimpleChatStore
from chatstore.records import Row
from chatstore.store import PAGE


class Counted(list[Row]):
    """Rows that count how many of them were walked over."""

    walked = 0

    def __iter__(self) -> Iterator[Row]:
        for row in super().__iter__():
            self.walked += 1
            yield row


def counted(store: SimpleChatStore) -> Counted:
    held = store._shelf.held["k"]
    rows = Counted(held.rows)
    held.rows = rows
    return rows


def test_appending_with_ids_walks_over_the_others_once() -> None:
    store = SimpleChatStore()
    store.add_messages("k", [ChatMessage("a", id=f"m{n}") for n in range(100)])
    store.update_message("k", 0, ChatMessage("b", id="m0"))
    rows = counted(store)
    for n in range(100, 150):
        store.add_message("k", ChatMessage("a", id=f"m{n}"))
        store.add_message("k", ChatMessage("a", id=f"m{n}"))
        store.add_message("k", ChatMessage("a", id=f"n{n}"), 0)
    assert store.count_messages("k", status=None) == 200
    assert rows.walked <= 100 + 1


def test_iterating_walks_over_no_page_twice() -> None:
    store = SimpleChatStore()
    store.add_messages("k", [ChatMessage("a")] * (10 * PAGE))
    rows = counted(store)
    assert len(list(store.iter_messages("k"))) == 10 * PAGE
    assert rows.walked == 0  # pages are slices
