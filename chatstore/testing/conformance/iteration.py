"""`iter_messages`."""

import pytest

from chatstore import ChatMessage, ChatStore, InvalidKeyError
from chatstore.store import PAGE
from chatstore.testing.conformance.base import KEY, Base, say, texts

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
