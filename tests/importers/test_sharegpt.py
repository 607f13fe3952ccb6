import pytest

from chatstore import ChatStore, TransferError
from chatstore.importers import import_file
from tests.importers.conftest import Write


def talk(*turns: tuple[str, str], **more: object) -> dict[str, object]:
    return {"conversations": [{"from": who, "value": text} for who, text in turns], **more}


@pytest.mark.parametrize("kind", ["array", "printed array", "lines"])
def test_arrays_and_lines(store: ChatStore, lines: Write, document: Write, kind: str) -> None:
    rows = [talk(("human", "Hi"), ("gpt", "Hello"), id="a"), talk(("human", "Hi"))]
    if kind == "lines":
        path = lines(*rows)
    else:
        path = document(rows, indent=2 if kind == "printed array" else None)
    report = import_file(store, path)
    assert report.importer == "sharegpt"
    assert [(m.role, m.content) for m in store.get_messages("a")] == [
        ("user", "Hi"),
        ("assistant", "Hello"),
    ]
    assert store.get_keys() == ["a", "data:000002"]


def test_aliases_and_the_system_of_the_row(store: ChatStore, lines: Write) -> None:
    row = talk(("user", "1"), ("chatgpt", "2"), ("bing", "3"), ("bard", "4"), system="Be kind")
    import_file(store, lines(row))
    messages = store.get_messages("data:000001")
    assert [m.role for m in messages] == ["system", "user", "assistant", "assistant", "assistant"]
    assert messages[2].additional_kwargs == {"from": "chatgpt"}
    assert messages[1].additional_kwargs == {}


def test_a_function_call_and_what_it_returned_belong_together(
    store: ChatStore, lines: Write
) -> None:
    call = '{"name": "weather", "arguments": {"city": "Oslo"}}'
    row = talk(("human", "?"), ("function_call", call), ("observation", "21"), ("gpt", "21 C"))
    import_file(store, lines({**row, "tools": "[]"}))
    _, calling, result, said = store.get_records("data:000001")
    assert (calling.kind, calling.role) == ("tool_call", "assistant")
    assert calling.message.blocks[0]["tool_name"] == "weather"
    assert calling.message.blocks[0]["tool_kwargs"] == {"city": "Oslo"}
    assert (result.kind, result.text) == ("tool_result", "21")
    assert result.tool_call_ids == calling.tool_call_ids
    assert said.tool_call_ids == ()


def test_a_function_call_that_is_no_json_stays_text(store: ChatStore, lines: Write) -> None:
    import_file(store, lines(talk(("human", "?"), ("function_call", "weather(Oslo)"))))
    assert store.get_messages("data:000001")[1].content == "weather(Oslo)"


@pytest.mark.parametrize(
    "argument", ["NaN", "1e999", "9" * 5000, "[" * 500 + "]" * 500, "[" * 9000 + "]" * 9000]
)
def test_a_function_call_that_cannot_be_stored_stays_text(
    store: ChatStore, lines: Write, argument: str
) -> None:
    call = f'{{"name": "f", "arguments": {{"x": {argument}}}}}'
    import_file(store, lines(talk(("human", "?"), ("function_call", call), ("observation", "!"))))
    messages = store.get_messages("data:000001")
    assert [message.content for message in messages] == ["?", call, "!"]


def test_other_fields_of_a_turn_and_of_a_row_are_kept(store: ChatStore, lines: Write) -> None:
    row = talk(lang="de")
    row["conversations"] = [{"from": "human", "value": "Hi", "loss": False}]
    import_file(store, lines(row), "sharegpt")
    found = store.get_conversation("data:000001")
    assert found is not None
    assert found.metadata["source"]["lang"] == "de"
    assert store.get_messages("data:000001")[0].additional_kwargs == {"loss": False}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (talk(("narrator", "Once")), "line 1: turn 1 is from nobody known"),
        ({"conversations": [{"from": "human"}]}, "line 1: turn 1 has no text"),
        ({"conversations": [5]}, "line 1: turn 1 is no object"),
        ({"conversations": {}}, "line 1 has no list of conversations"),
    ],
)
def test_a_broken_turn_is_named(store: ChatStore, lines: Write, row: object, said: str) -> None:
    with pytest.raises(TransferError, match=said):
        import_file(store, lines(row), "sharegpt")
    assert store.get_keys() == []
