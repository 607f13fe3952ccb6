"""The scripts that Redis runs, one for each operation; each begins with `shared.lua`.

What they take and result in stands at their heads.
"""

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
    """The script of a name."""
    folder = files(__name__)
    text = "\n".join(
        (folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("shared", name)
    )
    # Redis's own name for a script, not a safeguard.
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())
