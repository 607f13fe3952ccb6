"""A command, option or exit code that docs/cli.md does not name cannot be merged."""

import argparse
import re
from pathlib import Path

import pytest

from chatstore import importers
from chatstore.cli import exits, program

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
SHARED = {"-h", "--help", "--url", "--namespace"}


def commands() -> dict[str, argparse.ArgumentParser]:
    parser = program.build_parser()
    found = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)


def section(name: str) -> str:
    _, found, rest = PAGE.partition(f"\n## chatstore {name}\n")
    assert found, f"docs/cli.md has no section '## chatstore {name}'"
    return rest.partition("\n## ")[0]


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_and_option_is_documented(name: str) -> None:
    text = section(name)
    assert f"$ chatstore {name}" in text
    assert f"[{name}](#chatstore-{name})" in PAGE
    for action in commands()[name]._actions:
        if action.option_strings:
            for option in set(action.option_strings) - SHARED:
                assert re.search(rf"(?<![\w-]){option}\b", text), f"{name} {option}"
        else:
            shown = action.metavar or action.dest.upper()
            assert str(shown) in text, f"{name} {shown}"
        if action.choices and action.dest != "importer":
            for choice in action.choices:
                assert f"{choice}" in text or "as in `import`" in text, f"{name} {choice}"


def test_nothing_is_documented_that_does_not_exist() -> None:
    assert set(re.findall(r"^## chatstore (\S+)$", PAGE, re.MULTILINE)) == set(commands())
    for name, parser in commands().items():
        known = {option for action in parser._actions for option in action.option_strings}
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", section(name)):
            assert option in known | {"--from"}, f"{name} {option}"


def test_every_importer_is_documented() -> None:
    for name in (*importers.NAMES, *importers.SERVER_NAMES, "store"):
        assert f"| `{name}` |" in section("import")


def test_every_exit_code_is_documented() -> None:
    table = PAGE.partition("## Exit codes")[2]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    named = {value for name, value in vars(exits).items() if name.isupper() and name != "OF_ERRORS"}
    assert documented == named | set(exits.OF_ERRORS.values())
    for kind in exits.OF_ERRORS:
        if kind.__module__ == "chatstore.errors":
            line = next(line for line in table.splitlines() if f"`{kind.__name__}`" in line)
            assert line.startswith(f"| {exits.OF_ERRORS[kind]} |")


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/guide.md", "docs/cli.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    path = ROOT / page
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", path.read_text()):
        found = path.parent / target if target else path
        assert found.exists(), f"{page}: {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert anchor in slugs, f"{page}: {target}#{anchor}"


def test_the_help_of_every_command_can_be_read() -> None:
    for name, parser in commands().items():
        text = parser.format_help()
        assert "None" not in text, name
        for action in parser._actions:
            assert action.help or not action.option_strings, f"{name} {action.option_strings}"
