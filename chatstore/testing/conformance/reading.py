"""Windows, counts and records."""

import random
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise, product
from json import loads
from typing import Any

import pytest

from chatstore import ChatMessage, ChatStore, NativeMessage
from chatstore.testing.conformance.base import HUGE, KEY, Base, held, say, texts

EDGES = [None, *range(-6, 7), HUGE, -HUGE]


class Windows(Base):
    """`last`, `start`, `stop` and `status`, of messages and of records."""

    @pytest.mark.parametrize("last", [*range(7), HUGE])
    def test_last_is_the_newest_so_many_oldest_first(self, store: ChatStore, last: int) -> None:
        store.add_messages(KEY, say(*"abcd"))
        expected = list("abcd")[max(0, 4 - last) :]
        assert texts(store.get_messages(KEY, last=last)) == expected
        assert [record.text for record in store.get_records(KEY, last=last)] == expected

    def test_a_slice_is_a_slice(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*"abcd"))
        for start, stop in product(EDGES, EDGES):
            expected = list("abcd")[start:stop]
            assert texts(store.get_messages(KEY, start=start, stop=stop)) == expected
            assert [r.text for r in store.get_records(KEY, start=start, stop=stop)] == expected

    def test_windows_hold_after_many_edits(self, store: ChatStore) -> None:
        rng = random.Random(7)
        model = [f"{number}" for number in range(700)]
        store.add_messages(KEY, say(*model))
        for number in range(120):
            idx = rng.randrange(len(model))
            if number % 3:
                store.add_message(KEY, ChatMessage(f"new {number}"), idx)
                model.insert(idx, f"new {number}")
            else:
                store.delete_message(KEY, idx)
                del model[idx]
        assert held(store) == model
        for _ in range(40):
            start, stop = sorted(rng.sample(range(-len(model), len(model)), 2))
            assert texts(store.get_messages(KEY, start=start, stop=stop)) == model[start:stop]
            message = store.get_message(KEY, start)
            assert message is not None
            assert message.content == model[start]

    @pytest.mark.parametrize("name", ["get_messages", "get_records"])
    def test_a_window_that_makes_no_sense_is_refused(self, store: ChatStore, name: str) -> None:
        read: Any = getattr(store, name)
        with pytest.raises(ValueError, match="negative"):
            read(KEY, last=-1)
        with pytest.raises(ValueError, match="not both"):
            read(KEY, last=1, start=0)
        with pytest.raises(ValueError, match="not both"):
            read(KEY, last=0, stop=0)
        with pytest.raises(ValueError, match="status"):
            read(KEY, status="gone")
        for name in ("last", "start", "stop"):
            with pytest.raises(TypeError):
                read(KEY, **{name: "1"})
            with pytest.raises(TypeError):
                read(KEY, **{name: 1.0})

    def test_a_status_has_windows_of_its_own(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*"abcde"))
        store.archive_messages(KEY, 2)
        store.add_message(KEY, ChatMessage("new"), 0)
        for status, expected in (("archived", ["a", "b"]), ("active", ["new", "c", "d", "e"])):
            read: Any = store.get_messages
            assert texts(read(KEY, status=status)) == expected
            for edge in EDGES:
                assert texts(read(KEY, status=status, start=edge)) == expected[edge:]
                assert texts(read(KEY, status=status, stop=edge)) == expected[:edge]
            for last in range(1, 6):
                assert texts(read(KEY, status=status, last=last)) == expected[-last:]
            assert read(KEY, status=status, last=0) == []
            records: Any = store.get_records(KEY, status=status)  # type: ignore[arg-type]
            assert [(r.text, r.status) for r in records] == [(t, status) for t in expected]


class Reading(Base):
    """One message, counts, and what is missing."""

    @pytest.mark.parametrize("idx", [*range(-6, 7), HUGE, -HUGE])
    def test_one_message_is_found_by_its_place(self, store: ChatStore, idx: int) -> None:
        store.add_messages(KEY, say(*"abcd"))
        message = store.get_message(KEY, idx)
        if -4 <= idx < 4:
            assert message == ChatMessage("abcd"[idx])
        else:
            assert message is None

    def test_a_place_is_an_integer(self, store: ChatStore) -> None:
        for call in (store.get_message, store.delete_message):
            with pytest.raises(TypeError):
                call(KEY, "0")  # type: ignore[arg-type]

    def test_what_is_missing_reads_as_empty_and_is_not_created(self, store: ChatStore) -> None:
        assert store.get_messages(KEY) == []
        assert store.get_messages(KEY, last=5) == []
        assert store.get_messages(KEY, start=-3, stop=2, status="active") == []
        assert store.get_records(KEY) == []
        assert list(store.iter_messages(KEY)) == []
        assert store.get_message(KEY, 0) is None
        assert store.get_message(KEY, -1) is None
        assert store.count_messages(KEY) == 0
        assert store.count_messages(KEY, status="archived") == 0
        assert store.get_conversation(KEY) is None
        assert store.get_keys() == []
        assert store.get_conversations() == []

    def test_messages_are_counted_by_status(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*"abcde"))
        store.archive_messages(KEY, 2)
        assert store.count_messages(KEY) == 5
        assert store.count_messages(KEY, status="active") == 3
        assert store.count_messages(KEY, status="archived") == 2
        with pytest.raises(ValueError, match="status"):
            store.count_messages(KEY, status="")  # type: ignore[arg-type]


class Records(Base):
    """What `get_records` tells beside the message."""

    def test_a_record_tells_how_a_message_is_stored(self, store: ChatStore) -> None:
        store.add_message(KEY, ChatMessage("Hello", role="assistant", id="m1"))
        (record,) = store.get_records(KEY)
        assert (record.id, record.format, record.role) == ("m1", "chatstore", "assistant")
        assert (record.text, record.kind, record.tool_call_ids) == ("Hello", "message", ())
        assert record.status == "active"
        assert record.message == ChatMessage("Hello", role="assistant", id="m1")
        assert record.message.created_at == record.created_at
        assert loads(record.payload) == {
            "role": "assistant",
            "additional_kwargs": {},
            "blocks": [{"block_type": "text", "text": "Hello"}],
        }

    def test_ordinals_rise(self, store: ChatStore) -> None:
        store.add_messages(KEY, say(*"abcd"))
        for idx in (0, 2, -1, 99):
            store.add_message(KEY, ChatMessage("new"), idx)
        store.delete_message(KEY, 3)
        ordinals = [record.ordinal for record in store.get_records(KEY)]
        assert all(a < b for a, b in pairwise(ordinals))

    def test_what_a_message_is_for_is_told(self, store: ChatStore) -> None:
        call = {"block_type": "tool_call", "tool_call_id": "c1", "tool_name": "weather"}
        thought = {"block_type": "thinking", "content": "…"}
        answer = {"tool_call_id": "c1"}
        store.add_messages(
            KEY,
            [
                ChatMessage([call, {**call, "tool_call_id": "c2"}], role="assistant"),
                ChatMessage("21 C", role="tool", additional_kwargs=answer),
                ChatMessage([thought], role="assistant"),
                ChatMessage("It is warm.", role="assistant"),
            ],
        )
        assert [(r.kind, r.tool_call_ids) for r in store.get_records(KEY)] == [
            ("tool_call", ("c1", "c2")),
            ("tool_result", ("c1",)),
            ("reasoning", ()),
            ("message", ()),
        ]

    def test_a_native_payload_is_kept_and_shown(self, store: ChatStore) -> None:
        payload = {"content": "21 C", "tool_call_id": "c1", "role": "tool", "later": {"x": None}}
        store.add_message(KEY, NativeMessage("openai.chat", payload, id="m1"))
        (record,) = store.get_records(KEY)
        assert (record.id, record.format, record.kind) == ("m1", "openai.chat", "tool_result")
        assert loads(record.payload) == payload
        assert list(loads(record.payload)) == list(payload)
        message = store.get_messages(KEY)[0]
        assert (message.role, message.content, message.id) == ("tool", "21 C", "m1")
        assert message.additional_kwargs["tool_call_id"] == "c1"

    def test_times_are_those_of_storing(self, store: ChatStore) -> None:
        before = datetime.now(UTC)
        store.add_message(KEY, ChatMessage("a"))
        after = datetime.now(UTC)
        shown = store.get_messages(KEY)[0].created_at
        assert shown is not None
        assert shown.tzinfo is UTC
        assert before.replace(microsecond=0) <= shown <= after

    def test_a_time_that_is_given_is_kept(self, store: ChatStore) -> None:
        given = [
            datetime(1969, 7, 20, 20, 17, 40, 123457, UTC),
            datetime(2040, 1, 1, tzinfo=timezone(timedelta(hours=-7))),
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        ]
        store.add_messages(KEY, [ChatMessage("a", created_at=moment) for moment in given])
        shown = [message.created_at for message in store.get_messages(KEY)]
        assert shown == given
        assert [record.created_at for record in store.get_records(KEY)] == given
        assert all(moment is not None and moment.tzinfo is UTC for moment in shown)
