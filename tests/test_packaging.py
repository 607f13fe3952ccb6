"""What users install: the built wheel alone, in a fresh environment, away from the checkout."""

import json
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
CORE = ("alembic", "pydantic", "redis", "sqlalchemy")
FRAMEWORKS = ("agents", "langchain_core", "llama_index", "pydantic_ai")
LATE = {"alembic", "hiredis", "psycopg", "redis", "rich", "sqlalchemy", *FRAMEWORKS}
"""What `import chatstore` must not import."""


@dataclass
class Built:
    """The two files that a release has."""

    wheel: Path
    sdist: Path

    @property
    def in_wheel(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    @property
    def in_sdist(self) -> set[str]:
        with tarfile.open(self.sdist) as archive:
            files = [member.name for member in archive if member.isfile()]
        return {name.partition("/")[2] for name in files}

    @property
    def metadata(self) -> list[str]:
        [name] = [name for name in self.in_wheel if name.endswith(".dist-info/METADATA")]
        with zipfile.ZipFile(self.wheel) as archive:
            parsed = Parser().parsestr(archive.read(name).decode())
        return [f"{name}: {value}" for name, value in parsed.items()]


def build(source: Path, target: Path) -> Built:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", target],
        cwd=source,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    [wheel], [sdist] = target.glob("*.whl"), target.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


def requirements_of(*names: str) -> set[str]:
    """The distributions, and what they need in turn, without any extra."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)
    return found


@dataclass
class Fresh:
    """A virtual environment with the wheel and its core dependencies, and nothing else."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, *words: str | Path) -> str:
        # Isolated: neither the checkout nor PYTHONPATH may help out.
        done = subprocess.run(
            words, cwd=self.folder, env={"HOME": str(self.folder)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def execute(self, program: str) -> str:
        return self.run(self.python, "-I", "-c", program)


@pytest.fixture(scope="module")
def fresh(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, symlinks=True)
    env = Fresh(folder)
    packages = Path(env.execute("import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # The dependencies are linked, not downloaded again: the test takes a second, and the versions
    # are those that all other tests use.
    for name in requirements_of(*CORE):
        files = distribution(name).files or []
        tops = {file.parts[0] for file in files} - {"..", "__pycache__"}
        home = Path(str(distribution(name).locate_file("")))
        for top in tops:
            (packages / top).symlink_to(home / top)
    install = ["install", "--quiet", "--no-deps", "--no-index", str(built.wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", env.python, *install], check=True)
    return env


def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    tops = {name.partition("/")[0] for name in built.in_wheel}
    assert {top.partition("-")[0] for top in tops} == {"chatstore", "chatstore_sql"}
    assert "chatstore/py.typed" in built.in_wheel
    assert not [name for name in built.in_wheel if "__pycache__" in name or "/tests/" in name]


def test_the_wheel_holds_every_migration(built: Built) -> None:
    revisions = {path.name for path in (ROOT / "migrations/versions").glob("*.py")}
    assert len(revisions) >= 2
    assert {f"chatstore/migrations/versions/{name}" for name in revisions} <= built.in_wheel
    assert "chatstore/migrations/env.py" in built.in_wheel


def test_the_wheel_holds_every_file_of_the_package(built: Built) -> None:
    files = (path.relative_to(ROOT) for path in (ROOT / "chatstore").rglob("*") if path.is_file())
    # Not the leavings of Python and of mypy.
    kept = {
        file.as_posix()
        for file in files
        if not any(part.startswith((".", "__pycache__")) for part in file.parts)
    }
    assert kept <= built.in_wheel


def test_the_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    assert {"alembic.ini", "migrations/env.py", "LICENSE", "README.md"} <= built.in_sdist
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    again = build(source, tmp_path / "dist")
    assert again.in_wheel == built.in_wheel


def test_the_metadata_are_those_that_were_meant(built: Built) -> None:
    required = [line for line in built.metadata if line.startswith("Requires-Dist")]
    core = {Requirement(line.split(": ")[1]).name for line in required if "extra ==" not in line}
    assert core == set(CORE)
    for line in ("Name: chatstore-sql", "Requires-Python: >=3.11", "License-Expression: MIT"):
        assert line in built.metadata


def test_the_package_comes_from_the_wheel(fresh: Fresh) -> None:
    found = Path(fresh.execute("import chatstore; print(chatstore.__file__)").strip())
    assert found.is_relative_to(fresh.folder)
    version = fresh.execute(
        "import chatstore, importlib.metadata as metadata; "
        "print(chatstore.__version__ == metadata.version('chatstore-sql'))"
    )
    assert version.strip() == "True"


def test_importing_it_imports_no_driver_and_no_framework(fresh: Fresh) -> None:
    loaded = fresh.execute("import json, sys, chatstore; print(json.dumps(sorted(sys.modules)))")
    assert not {name.partition(".")[0] for name in json.loads(loaded)} & LATE


def test_only_core_dependencies_are_there(fresh: Fresh) -> None:
    program = "import importlib.util as u; print([n for n in {!r} if u.find_spec(n)])"
    optional = ("hiredis", "pytest", "rich", "tests", *FRAMEWORKS)
    assert fresh.execute(program.format(optional)).strip() == "[]"


def test_it_stores_without_the_checkout(fresh: Fresh) -> None:
    """It finds its migrations in the package: a new file gets its schema from them."""
    program = """
from chatstore import ChatMessage, open_store
for url in ("sqlite:///chat.db", "sqlite:///chat.db"):
    with open_store(url) as store:
        store.add_message("user1", ChatMessage(role="user", content="Hello"))
        print(len(store.get_messages("user1")))
"""
    assert fresh.execute(program).split() == ["1", "2"]


def test_the_command_is_there_and_works_without_rich(fresh: Fresh) -> None:
    command = fresh.folder / "bin" / "chatstore"
    assert "import" in fresh.run(command, "--help")
    version = fresh.execute("import chatstore; print(chatstore.__version__)")
    assert version.strip() in fresh.run(command, "--version")
