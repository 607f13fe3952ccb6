"""What `chatstore doctor` finds."""

from typing import Literal, NamedTuple

State = Literal["ok", "note", "warning", "problem"]


class Finding(NamedTuple):
    """Something that was looked at."""

    name: str
    value: str
    state: State = "ok"
    remedy: str = ""
