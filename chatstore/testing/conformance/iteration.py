"""`iter_messages`."""

from pathlib import Path

import pytest

from chatstore import ChatMessage, ChatStore, InvalidKeyError
from chatstore.store import PAGE
from chatstore.testing.conformance.base import KEY, Base, say, texts
from chatstore.testing.conformance.states import write

LENGTH = 2 * PAGE + 50
SPOKEN = [f"{number}" for number in range(LENGTH)]


class Iterating(Base):
    """Pages, with the store in use between them."""

    def test_everything_comes_oldest_first(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        assert texts(list(store.iter_messages(KEY))) == SPOKEN

    @pytest.mark.parametrize("length", [PAGE - 1, PAGE, PAGE + 1])
    def test_a_page_may_end_where_the_conversation_ends(
        self, store: ChatStore, length: int
    ) -> None:
        store.add_messages(KEY, say(*SPOKEN[:length]))
        assert texts(list(store.iter_messages(KEY))) == SPOKEN[:length]

    def test_a_key_is_checked_at_the_call(self, store: ChatStore) -> None:
        with pytest.raises(InvalidKeyError):
            store.iter_messages("")

    def test_the_store_is_used_inside_the_loop(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        for place, message in enumerate(store.iter_messages(KEY)):
            if place % 100 == 0:
                store.add_message("other", message)
                assert store.count_messages(KEY) == LENGTH
        assert store.count_messages("other") == len(range(0, LENGTH, 100))

    def test_what_is_appended_meanwhile_is_seen(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.content)
            if len(heard) == 10:
                store.add_message(KEY, ChatMessage("new"))
        assert heard == [*SPOKEN, "new"]

    def test_inserts_in_front_repeat_nothing_and_lose_nothing(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.content)
            if len(heard) % 10 == 0:
                store.add_message(KEY, ChatMessage("new"), 0)
        assert heard == SPOKEN

    def test_renumbering_repeats_nothing_and_loses_nothing(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.content)
            if len(heard) == 5:
                for _ in range(60):  # fills the gap at the end of the page that is being read
                    store.add_message(KEY, ChatMessage("new"), PAGE)
        assert [text for text in heard if text != "new"] == SPOKEN

    def test_deletes_in_front_lose_nothing_behind(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.content)
            store.delete_message(KEY, 0)
        assert heard == SPOKEN
        assert store.get_keys() == []

    def test_a_conversation_may_go_meanwhile(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.content)
            store.delete_messages(KEY)
        assert heard == SPOKEN[: len(heard)]
        assert len(heard) < LENGTH

    def test_another_conversation_under_the_key_is_another(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.content)
            if len(heard) == 1:
                store.delete_messages(KEY)
                store.add_messages(KEY, say(*["new"] * LENGTH))
        assert heard == SPOKEN[:PAGE]

    @pytest.mark.parametrize("length", [1, PAGE, LENGTH + 10])
    def test_what_takes_its_place_meanwhile_is_seen_whole(
        self, store: ChatStore, length: int
    ) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        new = [f"new {number}" for number in range(length)]
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.content)
            if len(heard) == 10:
                store.set_messages(KEY, say(*new))
        assert heard == SPOKEN[:PAGE] + new

    def test_what_is_saved_in_its_place_meanwhile_is_seen_whole(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.id or message.content)
            if len(heard) == 10:
                write(store, "new", "newer", replace=True)
        assert heard == [*SPOKEN[:PAGE], "new", "newer"]

    @pytest.mark.parametrize("archived", [0, 100])
    def test_what_takes_the_place_of_a_status_is_seen_behind_the_others(
        self, store: ChatStore, archived: int
    ) -> None:
        store.add_messages(KEY, say(*SPOKEN[:-archived] if archived else SPOKEN))
        store.add_messages(KEY, say(*SPOKEN[LENGTH - archived :]), status="archived")
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.content)
            if len(heard) == 10:
                store.set_messages(KEY, say("new", "newer"), status="active")
        stay = SPOKEN[LENGTH - archived :]
        assert heard == [*SPOKEN[:PAGE], *stay, "new", "newer"]

    def test_what_is_appended_where_the_newest_was_is_seen(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN[:PAGE]))
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.content)
            if len(heard) == 10:
                store.delete_last_message(KEY)
                store.add_message(KEY, ChatMessage("new"))
        assert heard == [*SPOKEN[:PAGE], "new"]

    def test_another_conversation_from_a_file_is_another(
        self, store: ChatStore, tmp_path: Path
    ) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        store.export_json(tmp_path / "backup.jsonl")
        heard = []
        for message in store.iter_messages(KEY):
            heard.append(message.content)
            if len(heard) == 10:
                store.import_json(tmp_path / "backup.jsonl", on_conflict="replace")
        assert heard == SPOKEN[:PAGE]

    def test_two_iterations_do_not_disturb_each_other(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        pairs = list(zip(store.iter_messages(KEY), store.iter_messages(KEY), strict=True))
        assert texts([one for one, _ in pairs]) == SPOKEN
        assert texts([two for _, two in pairs]) == SPOKEN

    def test_an_iteration_that_is_left_holds_nothing(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*SPOKEN))
        left = store.iter_messages(KEY)
        next(left)
        store.set_messages(KEY, say("new"))
        assert store.erase(KEY)
        store.add_message(KEY, ChatMessage("a"))
        del left
