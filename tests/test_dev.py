"""dev.py, which people run before anything else is there."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dev

SOURCE = Path(dev.__file__)


def test_it_needs_the_standard_library_only() -> None:
    tree = ast.parse(SOURCE.read_text("utf-8"))
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names


def test_an_old_python_can_read_it() -> None:
    ast.parse(SOURCE.read_text("utf-8"), feature_version=(3, 7))


def test_an_old_python_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(shutil, "which", lambda name: name == "python3.12")
    assert dev.main(["test"]) == 1
    error = capsys.readouterr().err
    assert "needs Python 3.11 or newer; this is 3.9" in error
    assert "run: python3.12 dev.py" in error


@pytest.mark.parametrize(("words", "code"), [([], 2), (["nonsense"], 2), (["--help"], 0)])
def test_it_explains_itself(words: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, SOURCE, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert "dev.py test" in done.stdout + done.stderr


@pytest.mark.parametrize("wrong", [[], ["mypy"], ["ruff check", "ruff format", "pytest", "mypy"]])
def test_all_checks_are_run_and_those_that_failed_are_named(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    wrong: list[str],
) -> None:
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(dev, "install", lambda *_: None)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("TMPDIR", "chosen")
    for name in ("ruff", "mypy", "pytest"):
        words = f"import sys; words = [{name!r}, *sys.argv[1:]]\n"
        said = "print('says', *words, sys.dont_write_bytecode)\n"
        code = f"sys.exit(any(' '.join(words).startswith(one) for one in {wrong}))\n"
        (tmp_path / f"{name}.py").write_text(words + said + code)

    assert dev.main(["test", "-k", "some"]) == bool(wrong)
    out, err = capfd.readouterr()
    assert out.splitlines() == [
        "== ruff check",
        "says ruff check False",
        "== ruff format",
        "says ruff format --check False",
        "== pytest",
        f"says pytest -n {dev.cores() + 1} --dist worksteal -k some False",
        "== mypy",
        "says mypy False",
    ]
    assert err == (f"dev.py: failed: {', '.join(wrong)}\n" if wrong else "")


@pytest.mark.parametrize(
    ("wanted", "given", "taken"), [(0, None, "memory"), (0, "disk", "disk"), (1 << 60, None, None)]
)
def test_tests_write_into_memory_that_has_room(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    wanted: int,
    given: str | None,
    taken: str | None,
) -> None:
    (tmp_path / "memory").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dev, "IN_MEMORY", "memory")
    monkeypatch.setattr(dev, "ROOM", wanted)
    monkeypatch.setenv("TMPDIR", given or "")
    if given is None:
        monkeypatch.delenv("TMPDIR")
    told: set[str | None] = set()

    def run(command: object) -> int:
        told.add(os.environ.get("TMPDIR"))
        return 0

    monkeypatch.setattr(dev, "install", lambda *_: None)
    monkeypatch.setattr(dev, "run", run)
    monkeypatch.setattr(dev, "PYTHON", shutil.which("true"))
    assert dev.main(["test"]) == 0
    assert told == {taken}
    assert not dev.has_room("nowhere")


def test_what_is_installed_is_not_installed_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]")
    (tmp_path / ".venv-dev").mkdir()
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "STAMP", tmp_path / ".venv-dev" / "installed.json")
    monkeypatch.setattr(dev, "PYTHON", Path(sys.executable))
    filled: list[str] = []
    made: list[bool] = []
    monkeypatch.setattr(dev, "fill", filled.extend)
    monkeypatch.setattr(dev, "create", lambda: made.append(True))

    dev.install("a")
    dev.install("a")
    dev.install("a", "b")
    assert (filled, len(made)) == (["a", "b"], 1)

    (tmp_path / "pyproject.toml").write_text("[project] # changed")
    dev.install("a")
    assert (filled, len(made)) == (["a", "b", "a"], 2)
