"""What happens to keys that exist, and that it happens to all of a file or to nothing."""

import gzip
import io
from typing import Any

import pytest

from chatstore import ChatMessage, SimpleChatStore, TransferError
from chatstore.transfer import OnConflict, TransferReport
from tests.transfer.given import MESSAGE, TALK, everything, exported, sealed


def given(**talks: str) -> SimpleChatStore:
    store = SimpleChatStore()
    for key, texts in talks.items():
        store.add_messages(key, [ChatMessage(text) for text in texts])
    return store


def texts(store: SimpleChatStore) -> dict[str, str]:
    return {
        key: "".join(str(m.content) for m in store.get_messages(key)) for key in store.get_keys()
    }


@pytest.mark.parametrize("format", ["json", "jsonl"])
@pytest.mark.parametrize(
    ("on_conflict", "held", "report"),
    [
        ("skip", {"a": "x", "b": "yy", "c": "mn"}, TransferReport(2, 3, 1)),
        ("replace", {"a": "x", "b": "kl", "c": "mn"}, TransferReport(3, 5, 0)),
        ("append", {"a": "x", "b": "yykl", "c": "mn"}, TransferReport(3, 5, 0)),
    ],
)
def test_a_key_that_exists(
    format: Any, on_conflict: OnConflict, held: dict[str, str], report: TransferReport
) -> None:
    store = given(b="yy")
    file = io.BytesIO(exported(given(a="x", b="kl", c="mn"), format))
    assert store.import_json(file, format=format, on_conflict=on_conflict) == report
    assert texts(store) == held


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_by_default_it_is_an_error(format: Any) -> None:
    store = given(b="yy")
    before = everything(store)
    file = io.BytesIO(exported(given(a="x", b="kl"), format))
    with pytest.raises(TransferError, match=r"'b'.*'skip', 'replace' or 'append'"):
        store.import_json(file, format=format)
    assert everything(store) == before


def test_no_such_choice() -> None:
    with pytest.raises(ValueError, match="on_conflict is one of"):
        given().import_json(io.BytesIO(), format="json", on_conflict="merge")  # type: ignore[arg-type]


@pytest.mark.parametrize("on_conflict", ["skip", "replace", "append"])
def test_a_fault_behind_the_conflict_undoes_all(on_conflict: OnConflict) -> None:
    """The digest is made to fit, so that the fault is met inside the transaction."""
    from tests.transfer.given import MESSAGE, TALK, sealed

    data = sealed([TALK, MESSAGE, TALK.replace(b"talk", b"walk"), MESSAGE, b"broken"])
    store = given(talk="yy")
    before = everything(store)
    with pytest.raises(TransferError, match="line 6"):
        store.import_json(io.BytesIO(data), format="jsonl", on_conflict=on_conflict)
    assert everything(store) == before


@pytest.mark.parametrize(
    ("texts", "line"),
    [(["a", "b"], 4), (["a", "a", "b"], 5)],
    ids=["in the store", "in the file"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_the_line_of_an_id_that_another_has(texts: list[str], line: int, packed: bool) -> None:
    said = [MESSAGE.replace(b"Hello", text.encode()) for text in texts]
    said = [text.replace(b"{", b'{"id":"m1",', 1) for text in said]
    if len(texts) == 2:
        said[0] = MESSAGE
    data = sealed([TALK, *said])
    store = SimpleChatStore()
    store.add_message("talk", ChatMessage("a", id="m1"))
    before = everything(store)
    file = io.BytesIO(gzip.compress(data) if packed else data)
    with pytest.raises(TransferError, match=f"line {line}: .*'talk' holds another .* id 'm1'"):
        store.import_json(file, format="jsonl", on_conflict="append")
    assert everything(store) == before
