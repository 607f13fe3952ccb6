"""`alembic -c alembic.ini …` from the checkout."""

import io
import logging
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config, main

from chatstore.sql import schema
from tests.migrations.conftest import Open
from tests.migrations.support import (
    FIRST,
    HEAD,
    INI,
    ROOT,
    contents,
    digest,
    master,
    opened,
    sound,
    version,
)


def alembic(*words: str, ini: Path = INI, url: str | None = None, fails: bool = False) -> str:
    """Runs the command in this process, which is ten times as fast, and returns what it says."""
    said = io.StringIO()
    root, own, search = logging.root, logging.getLogger("alembic"), sys.path[:]
    before = (root.handlers[:], root.level, own.level)
    code: object = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
        _set_url(patch, url)
        try:
            main(["-c", str(ini), *words])
        except SystemExit as exit_:
            code = exit_.code
        finally:
            root.handlers[:], root.level, own.level = before
            sys.path[:] = search
    assert bool(code) == fails, said.getvalue()
    return said.getvalue()


def spawned(*words: str, ini: Path = INI, url: str | None = None, fails: bool = False) -> str:
    """Runs the command as users do, and returns what it prints; if it fails, its complaints."""
    with pytest.MonkeyPatch.context() as patch:
        _set_url(patch, url)
        line = [sys.executable, "-m", "alembic", "-c", str(ini), *words]
        done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=ini.parent)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr if fails else done.stdout


def _set_url(patch: pytest.MonkeyPatch, url: str | None) -> None:
    patch.delenv("CHATSTORE_URL", raising=False)
    if url is not None:
        patch.setenv("CHATSTORE_URL", url)


def test_a_new_file_is_as_the_library_makes_it(path: Path, open_: Open) -> None:
    alembic("-x", f"url=sqlite:///{path}", "upgrade", "head")
    at_run_time = path.with_name("run-time.db")
    schema.upgrade(open_(at_run_time))
    assert master(path) == master(at_run_time)
    assert path.stat().st_mode & 0o777 == 0o600
    assert page_size(path) == page_size(at_run_time) == 8192


def test_data_goes_up_and_down(old: Path) -> None:
    before, url = contents(old), f"sqlite:///{old}"
    alembic("upgrade", "head", url=url)
    assert (contents(old), version(old), sound(old)) == (before, HEAD, True)
    assert "No new upgrade operations detected" in spawned("check", url=url)
    assert f"{HEAD} (head)" in spawned("current", url=url)
    alembic("downgrade", "-2", url=url)
    assert (contents(old), version(old), sound(old)) == (before, FIRST, True)


def test_x_comes_before_the_environment_before_the_ini(tmp_path: Path) -> None:
    """Each with a % in it, which the ini file wants doubled, and takes if it is not."""
    for name, words, url, ini in (
        ("x", ("-x", f"url=sqlite:///{tmp_path}/x%25.db"), f"sqlite:///{tmp_path}/env%25.db", ""),
        ("env", (), f"sqlite:///{tmp_path}/env%25.db", "sqlite:///%(here)s/no.db"),
        ("ini", (), None, f"sqlite:///{tmp_path}/ini%25.db"),
        ("here", (), None, "sqlite:///%(here)s/here%%25.db"),
    ):
        alembic(*words, "upgrade", FIRST, ini=configured(tmp_path, ini), url=url)
        [made] = tmp_path.glob("*.db")
        assert made.name in {f"{name}%25.db", f"{name}%.db"}
        assert version(made) == FIRST
        made.unlink()


def test_a_newer_file_is_refused(path: Path, open_: Open) -> None:
    schema.upgrade(open_(path))
    open_(path).close()
    with opened(path) as conn:
        conn.execute("UPDATE chatstore_alembic_version SET version_num = '0009_from_afar'")
        conn.execute("PRAGMA journal_mode=DELETE")  # which a writer would change
    before = digest(path)
    told = alembic("upgrade", "head", url=f"sqlite:///{path}", fails=True)
    assert "FAILED" in told
    assert "'0009_from_afar', which chatstore" in told
    assert "Traceback" not in told
    assert digest(path) == before


def test_a_new_revision_has_the_form(tmp_path: Path, open_: Open) -> None:
    """`alembic revision --autogenerate` after models.py has got a table."""
    ini = checkout(tmp_path)
    url = f"sqlite:///{tmp_path}/chat.db"
    schema.upgrade(open_(tmp_path / "chat.db"))
    with opened(tmp_path / "chat.db") as conn:
        conn.execute("CREATE TABLE invoice (id INTEGER PRIMARY KEY)")
        conn.execute("DROP TABLE chatstore_block")
    spawned("revision", "--autogenerate", "-m", "Bring the blocks back!", ini=ini, url=url)
    made = tmp_path / "migrations" / "versions" / "0004_bring_the_blocks_back.py"
    source = made.read_text("utf-8")
    assert 'def upgrade(op: "Operations") -> None:' in source
    assert "op.create_table('chatstore_block'" in source
    assert "invoice" not in source
    assert "chatstore_alembic_version" not in source
    told = spawned("upgrade", "head", ini=ini, url=url, fails=True)
    assert (
        "add '0004_bring_the_blocks_back' to REVISIONS in chatstore/sql/schema/versions.py" in told
    )
    known = tmp_path / "chatstore" / "sql" / "schema" / "versions.py"
    text = known.read_text("utf-8")
    known.write_text(text.replace(f'"{HEAD}")', f'"{HEAD}", "{made.stem}")'), "utf-8")
    spawned("upgrade", "head", ini=ini, url=url)
    assert version(tmp_path / "chat.db") == made.stem
    assert "No new upgrade operations" in spawned("check", ini=ini, url=url)


def test_sql_for_postgresql_is_written_without_a_server() -> None:
    sql = spawned("upgrade", "head", "--sql", url="postgresql://u:p%40ss@nowhere/chat")
    assert sql.count("CREATE TABLE") == 5
    assert "COMMIT;" in sql
    assert "p%40ss" not in sql
    told = alembic("upgrade", "head", "--sql", url="sqlite:///x.db", fails=True)
    assert "--sql is for PostgreSQL" in told


def test_a_connection_that_is_handed_in_keeps_its_owner(path: Path) -> None:
    """The owner's logging stays, and nothing is committed that the owner does not commit."""
    ours = logging.getLogger("of.the.host")
    before = (logging.root.level, logging.root.handlers[:], ours.disabled)
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    config = Config(INI, stdout=io.StringIO())
    with engine.connect() as conn:
        config.attributes["connection"] = conn
        conn.exec_driver_sql("BEGIN")
        command.upgrade(config, "head")
        assert conn.exec_driver_sql("SELECT count(*) FROM chatstore_message").scalar() == 0
        conn.rollback()
    assert version(path) is None
    assert (logging.root.level, logging.root.handlers[:], ours.disabled) == before


def page_size(path: Path) -> int:
    with opened(path) as conn:
        [size] = conn.execute("PRAGMA page_size").fetchone()
        return int(size)


def checkout(folder: Path) -> Path:
    """A copy of what `alembic` needs, to be changed."""
    for name in ("migrations", "chatstore"):
        unneeded = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=unneeded)
    shutil.copy(INI, folder)
    return folder / "alembic.ini"


def configured(folder: Path, url: str) -> Path:
    """A copy of alembic.ini with another URL in it."""
    text = INI.read_text("utf-8").replace("%(here)s", str(ROOT))
    text = re.sub("sqlalchemy.url = .*", lambda _: f"sqlalchemy.url = {url}", text)
    ini = folder / "alembic.ini"
    ini.write_text(text, "utf-8")
    return ini
