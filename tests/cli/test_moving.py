import gzip
import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from chatstore import ChatMessage, open_store
from chatstore.importers.between import content_digest
from chatstore.sql.engine.pool import Pool
from tests.cli.conftest import Run


def digest(url: str, namespace: str = "") -> str:
    with open_store(url, namespace=namespace) as store:
        return content_digest(store)


def openai_file(*texts: str, name: str = "train.jsonl") -> str:
    rows = [{"id": "a", "messages": [{"role": "user", "content": text}]} for text in texts]
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


@pytest.mark.parametrize("name", ["out.json", "out.jsonl", "out.jsonl.gz"])
def test_export_and_import(run: Run, chat: str, name: str) -> None:
    found = run("export", name, "--url", chat)
    assert found.code == 0
    assert found.out.startswith(f"exported 16 messages in 3 conversations to {name}")
    assert Path(name).stat().st_mode & 0o777 == 0o600
    found = run("import", name, "--url", "restored.db")
    assert found.code == 0
    assert found.out.startswith("imported 16 messages in 3 conversations (chatstore)")
    assert digest("restored.db") == digest(chat)


def test_export_as_json_tells_the_numbers(run: Run, chat: str) -> None:
    (facts,) = run("export", "out.jsonl", "--json", "--url", chat).rows
    size = Path("out.jsonl").stat().st_size
    assert facts == {"conversations": 3, "messages": 16, "bytes": size}


def test_export_to_stdout_is_json_lines(run: Run, spawn: Run, chat: str) -> None:
    found = spawn("export", "-", "--url", chat)
    assert found.code == 0
    assert found.rows[0]["format"] == "chatstore"
    Path("piped.jsonl").write_text(found.out)
    assert run("import", "piped.jsonl", "--url", "restored.db").code == 0
    assert digest("restored.db") == digest(chat)


def test_a_store_goes_through_a_pipe(spawn: Run, chat: str) -> None:
    exported = spawn("export", "-", "--url", chat).out.encode()
    for number, data in enumerate([exported, gzip.compress(exported)]):
        found = spawn("import", "-", "--url", f"{number}.db", stdin=data)
        assert (found.code, found.err) == (0, "")
        assert digest(f"{number}.db") == digest(chat)
    found = spawn("import", "-", "--url", "cut.db", stdin=exported[:-20])
    assert (found.code, found.err.count("\n")) == (14, 1)
    assert found.err.startswith("chatstore: error: stdin: line 21: ")
    row = b'{"messages": [{"role": "user", "content": "Hello"}]}\n'
    assert spawn("import", "-", "--url", "other.db", stdin=row).code == 0
    with open_store("other.db") as store:
        assert store.get_keys() == ["stdin:000001"]


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
def test_a_named_pipe_is_read_once(spawn: Run, chat: str) -> None:
    exported = spawn("export", "-", "--url", chat).out
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_text(exported))
    writer.start()
    found = spawn("import", "pipe", "--url", "restored.db")
    writer.join()
    assert (found.code, found.err) == (0, "")
    assert digest("restored.db") == digest(chat)


def test_a_file_of_ours_may_have_any_name(run: Run, chat: str) -> None:
    for name in ("out.json", "out.jsonl"):
        run("export", name, "--url", chat)
        Path(name).rename("backup.txt")
        found = run("import", "backup.txt", "--url", f"{name}.db")
        assert (found.code, found.err) == (0, "")
        assert digest(f"{name}.db") == digest(chat)
    found = run("export", "backup.txt", "--url", chat)
    assert (found.code, "rename it\n" in found.err) == (14, True)


def test_copy_works_in_the_namespace_of_the_environment(
    run: Run, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(chat, namespace="tenant") as store:
        store.add_message("only", ChatMessage("here"))
    monkeypatch.setenv("CHATSTORE_NAMESPACE", "tenant")
    assert run("copy", chat, "copy.db").code == 0
    assert digest("copy.db", "tenant") == digest(chat, "tenant")
    with open_store("copy.db") as store:
        assert store.get_keys() == []


def test_export_replaces_unless_told_not_to(run: Run, chat: str) -> None:
    Path("out.jsonl").write_text("old")
    found = run("export", "out.jsonl", "--no-clobber", "--url", chat)
    assert (found.code, "out.jsonl exists" in found.err) == (2, True)
    assert Path("out.jsonl").read_text() == "old"
    assert run("export", "out.jsonl", "--url", chat).code == 0
    assert Path("out.jsonl").read_text() != "old"


def test_export_never_overwrites_the_store(run: Run, chat: str) -> None:
    odd = str(Path(chat).with_name("chat.json"))
    shutil.copy(chat, odd)
    before = Path(odd).read_bytes()
    for path, url in ((odd, odd), ("chat.json", f"sqlite:///{odd}")):
        found = run("export", path, "--url", url)
        assert (found.code, "the store itself" in found.err) == (2, True)
    assert Path(odd).read_bytes() == before


@pytest.mark.parametrize("name", ["out.txt", "missing/out.json"])
def test_export_to_where_it_cannot_go(run: Run, chat: str, name: str) -> None:
    found = run("export", name, "--url", chat)
    assert found.code == 14
    assert found.err.count("\n") == 1


def test_import_guesses_what_a_file_is(run: Run) -> None:
    found = run("import", openai_file("Hello"), "--url", "new.db")
    assert found.code == 0
    assert found.out.startswith("imported 1 message in 1 conversation (openai)")
    assert run("show", "a", "--json", "--url", "new.db").rows[0]["text"] == "Hello"


def test_import_told_what_a_file_is(run: Run) -> None:
    path = openai_file("Hello")
    (facts,) = run(
        "import", path, "--from", "openai", "--key-prefix", "p/", "--json", "--url", "new.db"
    ).rows
    assert facts == {
        "importer": "openai",
        "conversations": 1,
        "messages": 1,
        "skipped": 0,
        "empty": 0,
    }
    assert [row["key"] for row in run("list", "--json", "--url", "new.db").rows] == ["p/a"]


def test_import_names_the_broken_line_and_stores_nothing(run: Run, chat: str) -> None:
    path = openai_file("one")
    with open(path, "a") as file:
        file.write('{"messages": [\n')
    before = digest(chat)
    found = run("import", path, "--url", chat)
    assert found.code == 14
    assert "train.jsonl: line 2 is not JSON" in found.err
    assert digest(chat) == before


def test_import_of_a_truncated_backup_stores_nothing(run: Run, chat: str) -> None:
    run("export", "out.jsonl.gz", "--url", chat)
    text = gzip.decompress(Path("out.jsonl.gz").read_bytes())
    Path("out.jsonl.gz").write_bytes(gzip.compress(text[: len(text) // 2]))
    found = run("import", "out.jsonl.gz", "--url", "restored.db")
    assert (found.code, found.err.count("\n")) == (14, 1)
    assert run("list", "--json", "--url", "restored.db").rows == []


@pytest.mark.parametrize("source", ["missing.jsonl", "missing.db", "sqlite:///missing.db"])
def test_import_of_what_is_not_there_creates_nothing(run: Run, tmp_path: Path, source: str) -> None:
    found = run("import", source, "--url", "new.db")
    assert found.code == (14 if source.endswith("jsonl") else 3)
    assert found.err.startswith("chatstore: error: there is no file ")
    assert list(tmp_path.iterdir()) == []


def test_import_of_what_could_be_anything(run: Run) -> None:
    Path("what.json").write_text('{"a": 1}')
    found = run("import", "what.json", "--url", "new.db")
    assert (found.code, "--from" in found.err) == (14, True)
    assert not Path("new.db").exists()


@pytest.mark.parametrize(
    ("on_conflict", "texts"),
    [("skip", ["old"]), ("replace", ["new"]), ("append", ["old", "new"])],
)
def test_import_of_a_key_that_exists(run: Run, on_conflict: str, texts: list[str]) -> None:
    run("import", openai_file("old"), "--url", "new.db")
    path = openai_file("new")
    found = run("import", path, "--url", "new.db")
    assert found.code == 14
    assert "--on-conflict" in found.err
    found = run("import", path, "--on-conflict", on_conflict, "--url", "new.db")
    assert found.code == 0
    assert ("skipped 1 conversation" in found.out) == (on_conflict == "skip")
    assert [row["text"] for row in run("show", "a", "--json", "--url", "new.db").rows] == texts


def test_import_gives_the_ttl_that_it_is_told(run: Run, chat: str) -> None:
    run("import", openai_file("Hello"), "--ttl", "60", "--url", "new.db")
    assert run("list", "--json", "--url", "new.db").rows[0]["ttl"] == 60
    assert run("import", chat, "--ttl", "60", "--url", "new.db").code == 2


def test_import_of_what_llama_index_keeps_in_redis(run: Run, redis_url: str) -> None:
    import redis

    client = redis.Redis.from_url(redis_url)
    client.rpush("user1", '{"role": "user", "content": "Hi"}', '{"role": "tool", "content": "1"}')
    client.close()
    words = ("import", redis_url, "--from", "llama-index-redis", "--url", "new.db")
    found = run(*words)
    assert found.code == 0, found.err
    assert found.out.startswith("imported 2 messages in 1 conversation (llama-index-redis)")
    rows = run("show", "user1", "--json", "--url", "new.db").rows
    assert [(row["role"], row["text"]) for row in rows] == [("user", "Hi"), ("tool", "1")]
    assert run(*words).code == 14
    assert run(*words, "--on-conflict", "skip", "--json").rows[0]["skipped"] == 1
    assert run(*words, "--key-prefix", "x").code == 2


def test_import_says_what_it_left_out(run: Run) -> None:
    Path("train.jsonl").write_text('{"messages": []}\n')
    found = run("import", "train.jsonl", "--from", "openai", "--url", "new.db")
    assert "left out 1 conversation without messages" in found.out


@pytest.mark.parametrize("source", ["chat.db", "sqlite:///chat.db"])
def test_import_of_a_store(run: Run, chat: str, source: str) -> None:
    found = run("import", source, "--url", "new.db")
    assert found.code == 0
    assert found.out.startswith("imported 16 messages in 3 conversations")
    assert digest("new.db") == digest(chat)


def test_import_of_a_store_is_no_import_of_a_file(run: Run, chat: str) -> None:
    assert run("import", chat, "--key-prefix", "x", "--url", "new.db").code == 2
    assert run("import", f"sqlite:///{chat}", "--from", "openai", "--url", "new.db").code == 2
    assert run("import", chat, "--url", chat).code == 2
    assert not Path("new.db").exists()


def test_copy(run: Run, chat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run("copy", chat, "other.db")
    assert found.code == 0
    assert "copied 16 messages in 3 conversations" in found.out
    assert "read back 3 conversations: equal" in found.out
    assert digest("other.db") == digest(chat)
    (facts,) = run("copy", chat, "third.db", "--json").rows
    assert facts["problems"] == []
    assert facts["digest"] == digest(chat)
    drained: list[bool] = []
    freeze = Pool.freeze

    def watched(pool: Pool[Any], deadline: float) -> bool:
        drained.append(freeze(pool, deadline))
        return drained[-1]

    monkeypatch.setattr(Pool, "freeze", watched)
    assert run("copy", chat, "other.db").code == 14
    assert drained
    assert all(drained), "the source's snapshot was left open"
    found = run("copy", chat, "other.db", "--on-conflict", "skip")
    assert "skipped 3 conversations" in found.out
    assert "read back" not in found.out
    assert digest("other.db") == digest(chat)


def test_copy_between_namespaces(run: Run, chat: str) -> None:
    assert run("copy", chat, chat).code == 2
    assert run("copy", chat, chat, "--to-namespace", "b").code == 0
    assert digest(chat, "b") == digest(chat)
    assert run("copy", chat, "new.db", "--namespace", "b").code == 0
    assert digest("new.db", "b") == digest(chat)
    assert run("list", "--json", "--url", "new.db").rows == []


def test_copy_to_redis_and_back(run: Run, chat: str, redis_url: str) -> None:
    with open_store(chat) as store:
        store.add_message("odd\u202ekey }{", ChatMessage("\x00 \ud800 \u2028"))
    wanted = digest(chat)
    found = run("copy", chat, redis_url)
    assert found.code == 0, found.err + found.out
    assert digest(redis_url) == wanted
    assert run("copy", redis_url, "back.db").code == 0
    assert digest("back.db") == wanted
    assert len(run("list", "--json", "--url", redis_url).rows) == 4


def test_copy_that_differs_is_a_problem(
    run: Run, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chatstore.importers import between

    monkeypatch.setattr(between, "_compare", lambda *_: ["'ann' has other content in the target"])
    found = run("copy", chat, "other.db")
    assert found.code == 1
    assert "'ann' has other content" in found.out
    assert run("copy", chat, "third.db", "--json").code == 1
