"""The scripts that Redis runs, one for each operation.

What they take and result in stands at their heads; what they share is in `shared.lua`, and how one
that writes begins in `begun.lua`. Each is whole when it is sent: Redis knows no other one.
"""

import re
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

MARK, BEGUN = "--@shared\n", "--@begun\n"
_NAMES = "local key, recent = KEYS[1], KEYS[2]\n"


class Script(NamedTuple):
    """A script: how files, people and errors call it, its text, and how Redis calls it."""

    name: str
    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """The script of a name, with what it needs of what is shared, and nothing else.

    All of it is made anew in each call of a script, and would cost an append a tenth. A script may
    say `--@shared` where it wants the functions to be made. `--@begun` stands for `begun.lua`.
    """
    text = _file(name).replace(BEGUN, _without_notes(_file("begun")))
    constants: list[str] = []
    functions: list[str] = []
    for word, body in reversed(_shared()):
        used = rf"\b{word}\b" if word.isupper() else rf"\b{word}\("
        if re.search(used, "".join((*constants, *functions, text))):
            (constants if word.isupper() else functions).insert(0, body)
    if MARK not in text:
        text = MARK + text
    text = "".join((_NAMES, *constants, text.replace(MARK, "".join(functions))))
    # Redis's own name for a script, not a safeguard.
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def _shared() -> list[tuple[str, str]]:
    """The constants and functions that scripts share, each with its name."""
    text = _without_notes(_file("shared"))
    constants = re.findall(r"(?ms)^(local ([A-Z]+) = .*?\n)(?=local|\n)", text)
    functions = re.findall(r"(?ms)^(local function (\w+)\(.*?^end\n)", text)
    return [(word, body) for body, word in constants + functions]


def _without_notes(text: str) -> str:
    return re.sub(r"(?m)^--.*\n", "", text)


def _file(name: str) -> str:
    return (files(__name__) / f"{name}.lua").read_text(encoding="utf-8")
