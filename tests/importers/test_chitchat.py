from typing import Any

import pytest

from chatstore import ChatStore, TransferError
from chatstore.importers import import_file
from tests.importers.conftest import Write

NOON = "2018-05-02T12:00:00Z"


def said(text: str, sender: str, timestamp: str = NOON) -> dict[str, str]:
    return {"text": text, "timestamp": timestamp, "sender": sender}


def data(*turns: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    return {"c1": {"start": NOON, "messages": list(turns), **more}}


def test_roles_go_by_sender_and_times_are_kept(store: ChatStore, document: Write) -> None:
    talk = data([said("Hi", "ann"), said("You there?", "ann")], [said("Yes", "bob")])
    report = import_file(store, document(talk))
    assert (report.importer, report.messages) == ("chitchat", 3)
    messages = store.get_messages("c1")
    assert [m.role for m in messages] == ["user", "user", "assistant"]
    assert [m.additional_kwargs["sender"] for m in messages] == ["ann", "ann", "bob"]
    assert {m.created_at.isoformat() for m in messages if m.created_at} == {
        "2018-05-02T12:00:00+00:00"
    }


def test_order_is_that_of_the_file_and_not_of_its_clock(store: ChatStore, document: Write) -> None:
    times = [f"2018-05-02T12:00:0{second}Z" for second in (3, 1, 1, 2)]
    talk = data([said(f"{n}", "ann", time) for n, time in enumerate(times)])
    import_file(store, document(talk))
    assert [m.content for m in store.get_messages("c1")] == ["0", "1", "2", "3"]


def test_what_else_is_known_stands_in_the_metadata(store: ChatStore, document: Write) -> None:
    import_file(store, document(data([said("Hi", "ann")], prompt="Say hi", ratings={"witty": 3})))
    found = store.get_conversation("c1")
    assert found is not None
    assert found.metadata["source"] == {
        "format": "chitchat",
        "start": NOON,
        "prompt": "Say hi",
        "ratings": {"witty": 3},
    }


def test_progress_knows_the_total(store: ChatStore, document: Write) -> None:
    seen: list[tuple[int, int | None]] = []
    path = document(data([said("Hi", "ann")] * 1200))
    import_file(store, path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (1200, 1200)


@pytest.mark.parametrize(
    ("talk", "what"),
    [
        ({"messages": 5}, "conversation 1 has no list of messages"),
        ({"messages": [[{"text": 5, "sender": "ann"}]]}, "conversation 1 holds a turn"),
        ({"messages": [[said("Hi", "ann", "noon")]]}, "conversation 1 has a time that is no time"),
        ({"messages": [5]}, "conversation 1 holds a turn"),
    ],
)
def test_a_broken_conversation_is_named(
    store: ChatStore, document: Write, talk: object, what: str
) -> None:
    with pytest.raises(TransferError, match=what):
        import_file(store, document({"c1": talk}), "chitchat")
    assert store.get_keys() == []
