import json

import pytest

from chatstore import ChatStore, TransferError
from chatstore.importers import import_file
from tests.importers.conftest import Write

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}
TOOLS = [{"type": "function", "function": {"name": "weather"}}]
ROW = {
    "messages": [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "weight": 0},
        {"role": "tool", "tool_call_id": "call_1", "content": "21 C"},
    ],
    "tools": TOOLS,
    "parallel_tool_calls": False,
}


def test_messages_keep_their_own_json(store: ChatStore, lines: Write) -> None:
    report = import_file(store, lines(ROW))
    assert (report.importer, report.conversations, report.messages) == ("openai", 1, 4)
    records = store.get_records("data:000001")
    assert [json.loads(record.payload) for record in records] == ROW["messages"]
    assert {record.format for record in records} == {"openai.chat"}
    assert [record.role for record in records] == ["system", "user", "assistant", "tool"]
    assert records[2].tool_call_ids == records[3].tool_call_ids == ("call_1",)


def test_tools_and_all_else_stand_in_the_metadata(store: ChatStore, lines: Write) -> None:
    import_file(store, lines(ROW))
    found = store.get_conversation("data:000001")
    assert found is not None
    assert found.metadata["tools"] == TOOLS
    assert found.metadata["source"]["parallel_tool_calls"] is False
    assert found.metadata["source"]["place"] == "line 1"


def test_a_key_is_the_id_or_else_the_number_of_the_line(store: ChatStore, lines: Write) -> None:
    row = {"messages": [{"role": "user", "content": "a"}]}
    path = lines(row, "", {**row, "id": "named"}, {**row, "id": 7})
    import_file(store, path, key_prefix="x/")
    assert store.get_keys() == ["x/000001", "x/7", "x/named"]
    import_file(store, path)
    assert store.get_keys("data") == ["data:000001"]
    assert "named" in store.get_keys()


def test_an_array_of_rows_is_read_too(store: ChatStore, document: Write) -> None:
    row = {"messages": [{"role": "user", "content": "a"}]}
    import_file(store, document([row, row], indent=2))
    assert store.get_keys() == ["data:000001", "data:000002"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"messages": [', "line 2 is not JSON"),
        ({"messages": "hello"}, "line 2 has no list of messages"),
        ({"messages": ["hello"]}, "line 2 holds a message that is no object"),
        ({"messages": [{"content": "hello"}]}, "line 2: message 1"),
        ({"messages": [{"role": "user", "content": 5}]}, "line 2: message 1"),
        ([], "line 2 has no list of messages"),
        ('{"messages": [{"role": "user", "content": NaN}]}', "line 2 holds NaN"),
        ('{"messages": [{"role": "user", "x": 1e400}]}', "line 2: message 1"),
        ('{"a": 1, "a": 2}', "line 2 holds an object with the same name twice"),
        ('{"a": ' + "9" * 5000 + "}", "line 2"),
        ("[" * 100_000, "line 2"),
        ({"messages": [{"role": "user", "content": "a"}], "id": "k" * 1025}, "line 2: a key"),
    ],
)
def test_a_broken_row_is_named_and_nothing_is_stored(
    store: ChatStore, lines: Write, row: object, said: str
) -> None:
    path = lines({"messages": [{"role": "user", "content": "secret"}]}, row)
    with pytest.raises(TransferError) as caught:
        import_file(store, path, "openai")
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert store.get_keys() == []


def test_the_same_id_twice_is_refused(store: ChatStore, lines: Write) -> None:
    row = {"id": "a", "messages": [{"role": "user", "content": "hello"}]}
    with pytest.raises(TransferError, match=r"line 3 has the key 'a' of line 1"):
        import_file(store, lines(row, {**row, "id": "b"}, row))
    assert store.get_keys() == []


def test_a_row_without_messages_is_counted_and_left_out(store: ChatStore, lines: Write) -> None:
    row = {"messages": [{"role": "user", "content": "hello"}]}
    report = import_file(store, lines(row, {"messages": []}, row))
    assert (report.conversations, report.empty) == (2, 1)
    assert store.get_keys() == ["data:000001", "data:000003"]


@pytest.mark.parametrize(
    ("on_conflict", "texts"),
    [("skip", ["old"]), ("replace", ["new"]), ("append", ["old", "new"])],
)
def test_a_key_that_exists(
    store: ChatStore, lines: Write, on_conflict: str, texts: list[str]
) -> None:
    def row(text: str) -> dict[str, object]:
        return {"id": "a", "messages": [{"role": "user", "content": text}]}

    import_file(store, lines(row("old")))
    path = lines(row("new"), name="more.jsonl")
    with pytest.raises(TransferError, match="holds a conversation 'a' already"):
        import_file(store, path)
    report = import_file(store, path, on_conflict=on_conflict)  # type: ignore[arg-type]
    assert [message.content for message in store.get_messages("a")] == texts
    assert report.skipped == (on_conflict == "skip")


def test_an_id_of_another_message_names_its_place(store: ChatStore, document: Write) -> None:
    def talk(text: str) -> list[dict[str, object]]:
        said = [{"uuid": f"m{n}", "sender": "human", "text": text} for n in (1, 2)]
        return [{"uuid": "c1", "name": "", "chat_messages": said}]

    import_file(store, document(talk("mine")))
    with pytest.raises(TransferError, match=r"item 1: message 1: .*'c1' holds another .* 'm1'"):
        import_file(store, document(talk("other")), on_conflict="append")
    assert [message.content for message in store.get_messages("c1")] == ["mine"] * 2
