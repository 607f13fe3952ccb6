"""Files that were changed at random: one error and an unchanged store, or the very same content."""

import gzip
import io
import random
import tracemalloc

import pytest

from chatstore import ChatMessage, NativeMessage, SimpleChatStore, TransferError
from chatstore.transfer import Format
from tests.transfer.given import content, everything, exported, given_row, tool_call

ROUNDS = 10_000
SHAPES: list[tuple[str, Format]] = [("jsonl", "jsonl"), ("gz", "jsonl"), ("json", "json")]

WORDS = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"null",
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"9" * 5000,
    b"[" * 3000,
    b'{"a":' * 200,
    b'"payload":{}',
    b',"id":"~1-1"',
    b',"status":"archived"',
    b',"ttl":-1,"expires_at":"2026-01-31T12:00:00Z"',
    b"\\ud800",
    b"true",
    b"0",
    b"-",
    b"e",
]


def small_store() -> SimpleChatStore:
    store = SimpleChatStore()
    store.add_messages(
        "a",
        [
            ChatMessage("Hello", id="m1"),
            ChatMessage(role="assistant", blocks=[tool_call("c1")]),
            NativeMessage("openai.chat", {"role": "user", "content": "x"}),
        ],
    )
    store.archive_messages("a", 1)
    store.set_metadata("a", {"n": 1.5})
    store.add_message("b", ChatMessage("é\ud800"))
    store.set_ttl("b", 10**9)
    given_row(store, "b", payload="damaged")
    return store


def mutated(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        place, size = chance.randrange(len(data) + 1), chance.choice((1, 1, 2, 8, 60))
        other = chance.randrange(len(data) + 1)
        match chance.randrange(7):
            case 0:  # a bit
                place = min(place, len(data) - 1)
                flipped = bytes([data[place] ^ 1 << chance.randrange(8)])
                data = data[:place] + flipped + data[place + 1 :]
            case 1:  # gone
                data = data[:place] + data[place + size :]
            case 2:  # something else
                data = data[:place] + chance.choice(WORDS) + data[place + size :]
            case 3:  # something more
                data = data[:place] + chance.choice(WORDS) + data[place:]
            case 4:  # twice
                data = data[:place] + data[other : other + size] + data[place:]
            case 5:  # lines: gone, twice, or elsewhere
                lines = data.splitlines(keepends=True)
                line = lines.pop(chance.randrange(len(lines)))
                for _ in range(chance.randrange(3)):
                    lines.insert(chance.randrange(len(lines) + 1), line)
                data = b"".join(lines)
            case _:  # cut short
                data = data[: max(place, len(data) - size)]
        if not data:
            break
    return data


def fuzz(shape: str, format: Format, rounds: int, seed: int) -> tuple[int, int]:
    store = small_store()
    plain = exported(store, format)
    whole = gzip.compress(plain, mtime=0) if shape == "gz" else plain
    target = SimpleChatStore()
    target.add_message("a", ChatMessage("was here"))
    before, rows = everything(target), target._shelf.held["a"].rows[:]
    chance = random.Random(seed)
    refused = taken = 0
    for round_ in range(rounds):
        data = mutated(whole, chance)
        choice = chance.choice(("error", "skip", "replace", "append"))
        where = f"{shape}, seed {seed}, round {round_}"
        try:
            target.import_json(io.BytesIO(data), format=format, on_conflict=choice)  # type: ignore[arg-type]
        except TransferError as error:
            refused += 1
            assert "Hello" not in str(error), where  # noqa: PT017 - either outcome is right
            assert list(target._shelf.held) == ["a"], where
            assert target._shelf.held["a"].rows == rows, where
            continue
        taken += 1
        again = SimpleChatStore()
        again.import_json(io.BytesIO(data), format=format)
        if format == "jsonl":
            # The digest lets nothing pass: only header and footer can have been written otherwise.
            assert content(exported(again)) == content(plain), where
        else:
            # A document has none; but what it says is sound, and stays what it is.
            written = exported(again, "json")
            other = SimpleChatStore()
            other.import_json(io.BytesIO(written), format="json")
            assert everything(other) == everything(again), where
        target = SimpleChatStore()
        target.add_message("a", ChatMessage("was here"))
        rows = target._shelf.held["a"].rows[:]
    assert [talk[0] for talk in before] == ["a"]
    return refused, taken


@pytest.mark.parametrize(("shape", "format"), SHAPES)
def test_changed_files(shape: str, format: Format) -> None:
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        refused, _ = fuzz(shape, format, ROUNDS // 30, seed=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20
    more, taken = fuzz(shape, format, ROUNDS // 3, seed=2)
    assert refused + more > ROUNDS // 4
    # Most of what changes is inside the digest; a document has none.
    assert format == "json" or taken < ROUNDS // 10


@pytest.mark.torture
@pytest.mark.parametrize(("shape", "format"), SHAPES)
@pytest.mark.parametrize("seed", range(3, 13))
def test_changed_files_for_long(shape: str, format: Format, seed: int) -> None:
    fuzz(shape, format, ROUNDS // 3, seed)
