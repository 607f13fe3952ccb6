"""The house, held against the imports: stairs go down only, and each room knows its own driver."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import chatstore

ROOT = Path(chatstore.__file__).parent

FLOORS = {
    "ground": [
        "_version", "errors", "messages", "records", "arguments", "clock", "collector", "json_text",
        "formats", "codec", "damage", "derived", "settle", "operations", "requests", "transfer",
    ],
    "contract": ["store", "aio"],
    "stores": ["simple", "sql", "redis"],
    "doors": ["url", "memory"],
    "entrance": ["__init__"],
    "guests": ["adapters", "importers"],
    "street": ["cli", "__main__"],
    "testing": ["testing"],
}  # fmt: skip
"""The rooms of each floor, from the ground up. A room is a module or a package of `chatstore`."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS.values()) for room in rooms}

OUTSIDE = {
    "pydantic": {"messages", "transfer", "adapters"},
    "pydantic_core": {"json_text", "transfer"},
    "typing_extensions": {"sql"},
    "sqlite3": {"sql", "importers", "cli"},
    "sqlalchemy": {"sql"},
    "alembic": {"sql"},
    "psycopg": {"sql"},
    "redis": {"redis", "cli"},
    "hiredis": {"redis"},
    "rich": {"cli"},
    "tiktoken": {"memory"},
    "agents": {"adapters"},
    "langchain_core": {"adapters"},
    "llama_index": {"adapters"},
    "pydantic_ai": {"adapters"},
    "hypothesis": {"testing"},
    "pytest": {"testing"},
}
"""What is not ours and not Python's, and who may know it."""

LONGEST = 300
"""A file that wants to be longer is two rooms."""

LONGER = {
    # The contract: most of it is what it says to callers, and is read as one.
    "store.py": 700,
    "aio.py": 700,
}
"""Those that may be longer, and how long."""


class Import(NamedTuple):
    """An import statement, somewhere in the package."""

    path: Path
    line: int
    module: str
    late: bool

    @property
    def room(self) -> str:
        """Where it stands."""
        return _room(self.path)

    @property
    def target(self) -> str | None:
        """The room that it enters; `None`: it is not ours."""
        parts = self.module.split(".")
        if parts[0] != "chatstore":
            return None
        return parts[1] if len(parts) > 1 else "__init__"

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT.parent)}:{self.line} imports {self.module}"


def _room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _statements(node: ast.AST, late: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _statements(child, late=True)
            continue
        yield child, late
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _statements(child, late or inside)


def _imports(path: Path) -> Iterator[Import]:
    for node, late in _statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, late)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}:{node.lineno} imports from a dot"
            for alias in node.names:
                yield Import(path, node.lineno, _whole(node.module, alias.name), late)


def _whole(module: str, name: str) -> str:
    """What `from module import name` enters: `chatstore.codec`, not `chatstore`."""
    if module != "chatstore":
        return module
    inside = ROOT / name
    if inside.is_dir() or inside.with_suffix(".py").exists():
        return f"chatstore.{name}"
    home = getattr(getattr(chatstore, name), "__module__", "")
    return home if home.startswith("chatstore.") else "chatstore"


MODULES = sorted(ROOT.rglob("*.py"))


@cache
def all_imports() -> list[Import]:
    """Those of the package; found when a test asks, as every process of pytest reads this file."""
    return [found for path in MODULES for found in _imports(path)]


def test_every_room_has_a_floor() -> None:
    assert {_room(path) for path in MODULES} == set(FLOOR)


def test_stairs_go_down_only() -> None:
    assert [
        str(found)
        for found in all_imports()
        if found.target and FLOOR[found.target] > FLOOR[found.room]
    ] == []


@pytest.mark.parametrize("floor", ["stores", "doors", "guests"])
def test_rooms_of_a_floor_do_not_know_each_other(floor: str) -> None:
    rooms = FLOORS[floor]
    assert [
        str(found)
        for found in all_imports()
        if found.room in rooms and found.target in rooms and found.target != found.room
    ] == []


@pytest.mark.parametrize(("one", "other"), [("sqlite", "postgres"), ("postgres", "sqlite")])
def test_the_engines_do_not_know_each_other(one: str, other: str) -> None:
    inside = [f for f in all_imports() if f.path.parent == ROOT / "sql" / "engine" / one]
    assert inside
    assert [str(f) for f in inside if f.module.startswith(f"chatstore.sql.engine.{other}")] == []


def test_an_adapter_never_sees_a_concrete_store() -> None:
    stores = FLOORS["stores"]
    assert [str(f) for f in all_imports() if f.room == "adapters" and f.target in stores] == []


def test_adapters_reach_operations_through_one_door() -> None:
    reaching = [
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        if _room(path) == "adapters" and "_execute(" in path.read_text(encoding="utf-8")
    ]
    assert reaching == ["adapters/doors.py"]


def test_nothing_imports_the_tests() -> None:
    assert [str(f) for f in all_imports() if f.target == "testing" and f.room != "testing"] == []


def test_each_room_knows_its_own_driver() -> None:
    strangers = []
    for found in all_imports():
        name = found.module.partition(".")[0]
        known = name == "chatstore" or (name in sys.stdlib_module_names and name not in OUTSIDE)
        if not known and found.room not in OUTSIDE.get(name, ()):
            strangers.append(str(found))
    assert strangers == []


def test_only_the_schema_knows_alembic_and_late() -> None:
    found = [found for found in all_imports() if found.module.partition(".")[0] == "alembic"]
    assert {f.path.parent for f in found} == {ROOT / "sql" / "schema"}
    assert [str(f) for f in found if not f.late] == []


def test_revisions_do_not_know_the_package() -> None:
    revisions = sorted((ROOT.parent / "migrations" / "versions").glob("*.py"))
    assert revisions
    assert [str(f) for path in revisions for f in _imports(path) if f.target] == []


def _run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    return done.stdout.splitlines()


def test_importing_the_package_loads_no_driver_and_no_framework() -> None:
    heavy = sorted(set(OUTSIDE) - {"pydantic", "pydantic_core", "typing_extensions"})
    code = f"""
import sys, chatstore
print(sorted(name for name in sys.modules if name.startswith(("chatstore", "pydantic"))))
from chatstore import ChatMessage, open_store
print([name for name in {[*heavy, "asyncio", "chatstore.redis", "chatstore.sql", "chatstore.cli"]!r}
       if name in sys.modules])
with open_store("memory://") as store:
    store.add_message("user1", ChatMessage("Hello"))
print([name for name in {heavy!r} if name in sys.modules])
"""
    assert _run(code) == ["['chatstore', 'chatstore._version']", "[]", "[]"]


def test_what_is_exported_is_what_type_checkers_see() -> None:
    homes = {
        alias.asname or alias.name: node.module
        for node in ast.walk(ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chatstore.")
        for alias in node.names
    }
    assert sorted(homes) == sorted(chatstore.__all__)
    for name, module in homes.items():
        assert getattr(chatstore, name) is getattr(importlib.import_module(str(module)), name)
        assert name in dir(chatstore)


def test_a_room_is_there_without_an_import_of_its_own() -> None:
    assert _run("import chatstore; print(chatstore.errors.ConflictError.__name__)") == [
        "ConflictError"
    ]


def test_a_misspelt_name_is_an_error_that_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'ChatMesage'"):
        chatstore.ChatMesage  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="ChatMesage"):
        from chatstore import ChatMesage  # type: ignore[attr-defined]  # noqa: F401


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short(path: Path) -> None:
    assert _length(path) <= LONGER.get(path.relative_to(ROOT).as_posix(), LONGEST)


def test_no_exception_is_left_over() -> None:
    assert [name for name in LONGER if _length(ROOT / name) <= LONGEST] == []


def _length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
