import builtins
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from chatstore.cli import doctor_redis
from tests.cli.conftest import Run


def findings(run: Run, *words: object) -> dict[str, dict[str, Any]]:
    (report,) = run("doctor", *words, "--json").rows
    return {finding["name"]: finding for finding in report["findings"]}


def test_without_a_store_it_tells_what_is_installed(run: Run) -> None:
    found = findings(run)
    assert found["chatstore"]["state"] == "ok"
    assert {"python", "sqlite library", "sqlalchemy", "alembic", "pydantic", "redis"} <= set(found)
    assert "no store looked at" in run("doctor").out


def test_a_sound_store(run: Run, chat: str) -> None:
    found = run("doctor", chat)
    assert found.code == 0
    assert found.out.splitlines()[0] == chat
    assert found.out.splitlines()[-1] in ("all is well", "0 problems, 1 warning")
    facts = findings(run, "--url", f"sqlite:///{chat}")
    assert facts["permissions"] == {
        "name": "permissions",
        "value": "0600",
        "state": "ok",
        "remedy": "",
    }
    assert facts["journal mode"]["value"] == "wal"
    assert "full" in facts["durability"]["value"]
    assert facts["schema"]["value"].endswith("(head)")
    assert facts["file system"]["value"] == "local"
    assert facts["free disk"]["value"]


def test_the_store_of_the_environment(run: Run, chat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATSTORE_URL", chat)
    assert "schema" in findings(run)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ((3, 40, 1), "WAL-reset bug"),
        ((3, 51, 2), "WAL-reset bug"),
        ((3, 51, 3), "3.51.3"),
        ((3, 44, 6), "3.44.6"),
    ],
)
def test_the_state_of_the_wal_reset_bug(
    run: Run, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], said: str
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    monkeypatch.setattr(sqlite3, "sqlite_version", ".".join(map(str, version)))
    found = findings(run)["sqlite library"]
    assert said in found["value"]
    assert ("bug" in said) == (found["state"] == "note")


def test_what_should_worry(run: Run, chat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(chat).chmod(0o644)
    monkeypatch.setattr("chatstore.sql.engine.sqlite.files.is_remote", lambda path: True)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    connection = sqlite3.connect(chat)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    found = findings(run, chat)
    assert found["permissions"]["state"] == "warning"
    assert found["permissions"]["remedy"] == f"chmod 600 {chat}"
    assert found["file system"]["state"] == "warning"
    assert found["free disk"]["state"] == "warning"
    assert found["journal mode"]["state"] == "warning"
    shown = run("doctor", chat)
    assert (shown.code, shown.out.splitlines()[-1]) == (0, "0 problems, 4 warnings")


def test_a_problem_is_an_exit_code(run: Run, chat: str) -> None:
    connection = sqlite3.connect("foreign.db")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    found = run("doctor", "foreign.db")
    assert found.code == 1
    assert "chatstore upgrade foreign.db" in found.out
    Path("text.db").write_text("hello " * 100)
    found = run("doctor", "text.db")
    assert (found.code, found.err) == (1, "")
    assert "problem" in found.out


def test_redis(run: Run, redis_url: str) -> None:
    import redis

    found = findings(run, redis_url)
    assert found["server"]["value"].startswith(("Redis ", "Valkey "))
    assert {"eviction", "persistence", "replication"} <= set(found)
    client = redis.Redis.from_url(redis_url)
    try:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        evicting = findings(run, redis_url)["eviction"]
    finally:
        client.config_set("maxmemory", "0")
        client.config_set("maxmemory-policy", "noeviction")
        client.close()
    assert evicting["state"] == "warning"
    assert "any conversation" in evicting["value"]
    assert "noeviction" in evicting["remedy"]


def test_a_server_that_does_not_answer(run: Run) -> None:
    found = run("doctor", "redis://:geheim@127.0.0.1:1/0")
    assert found.code == 1
    assert "geheim" not in found.out + found.err


@pytest.mark.parametrize("settings", [{}, {"save": ""}, {"appendfsync": "everysec"}])
def test_persistence_in_words(settings: dict[str, str]) -> None:
    facts = {"aof_enabled": "appendfsync" in settings, "role": "master"}
    (said, _) = doctor_redis._persistence(facts, settings)
    assert (said.state == "warning") == ("appendfsync" not in settings)


def test_a_driver_that_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name == "redis":
            raise ImportError("No module named 'redis': pip install redis")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    found = run("doctor", "redis://127.0.0.1:1/0")
    assert (found.code, "pip install redis" in found.out) == (1, True)
