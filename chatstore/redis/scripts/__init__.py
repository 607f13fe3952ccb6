"""The scripts that Redis runs, one for each operation.

What they take and result in stands at their heads; what they share is in `shared.lua`.
"""

import re
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """A script: how files, people and errors call it, its text, and how Redis calls it."""

    name: str
    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """The script of a name, with the shared functions that it needs, and no others.

    Each function is made anew in each call of a script: all of them would cost an append a tenth.
    """
    text = _file(name)
    needed: list[str] = []
    for function, body in reversed(_shared()[1]):
        if re.search(rf"\b{function}\(", text + "".join(needed)):
            needed.insert(0, body)
    text = "\n".join((_shared()[0], *needed, text))
    # Redis's own name for a script, not a safeguard.
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def _shared() -> tuple[str, list[tuple[str, str]]]:
    """What stands before all scripts, and the functions with their names."""
    text = re.sub(r"(?m)^--.*\n", "", _file("shared"))
    first = text.index("local function ")
    bodies = re.findall(r"(?ms)^local function (\w+)\(.*?^end\n", text[first:])
    found = re.findall(r"(?ms)^local function \w+\(.*?^end\n", text[first:])
    return text[:first], list(zip(bodies, found))


def _file(name: str) -> str:
    return (files(__name__) / f"{name}.lua").read_text(encoding="utf-8")
