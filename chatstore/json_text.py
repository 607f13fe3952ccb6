"""Strict JSON: exactly what JSON can hold goes in, as ASCII text, and comes out equal.

ASCII keeps NUL, lone surrogates and U+2028 whole in every database. What JSON cannot hold is
refused with the path to it, for Python's own encoder would change it in silence (a tuple to a
list, an integer key to a string, NaN to no JSON at all).
"""

import json
import math
import re
from json.encoder import encode_basestring_ascii
from typing import Any

from pydantic_core import from_json

MAX_DEPTH = 64
_LONGEST_PATH = 300
"""Characters of the path in an error: 64 steps of a common length."""
_halves = re.compile("[\ud800-\udbff][\udc00-\udfff]").search
_DIGITS = 4300  # Python's own limit, above which it neither prints nor reads
_TOO_LONG = 10**_DIGITS
_LONG = re.compile(rf"(?<!\d)\d{{{_DIGITS + 1}}}")
quote = encode_basestring_ascii
"""A str as a JSON string of ASCII characters."""

encode = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
"""A value that is known to be JSON as its text; `dump` looks first."""


class NotJSONError(ValueError):
    """A value that JSON cannot hold; the text names the path to it."""


def dump(value: Any, path: str, depth: int = 0) -> str:
    """The value as JSON text.

    Args:
        value: What to encode.
        path: How to call the value itself in an error, such as "metadata".
        depth: How many values it stands in, of those that may be nested.

    Raises:
        NotJSONError: JSON cannot hold it.
    """
    if type(value) is dict and len(value) == 1 and depth < MAX_DEPTH:
        # What nearly every message has, if anything: one text under a name. See `encode`.
        [(name, item)] = value.items()
        if type(name) is str and type(item) is str:
            check_text(name, path)
            if not item.isascii():
                check_text(item, f"{path}.{name}")
            return f"{{{quote(name)}:{quote(item)}}}"
    _check(value, path, depth)
    return encode(value)


def check_text(text: str, path: str) -> None:
    """Raise if the text holds two halves of a character side by side, for JSON would join them.

    Raises:
        NotJSONError: It does.
    """
    if text.isascii():
        return
    try:
        text.encode()  # quicker than looking for halves, and fine nearly always
    except UnicodeEncodeError:
        if _halves(text):
            raise _refused(
                path,
                "holds both halves of a character side by side, which JSON takes for the "
                'character; join them: text.encode("utf-16", "surrogatepass").decode("utf-16", '
                '"surrogatepass")',
            ) from None


def check(text: str, path: str) -> None:
    """Look whether JSON text that another encoder made is such as `dump` makes.

    Raises:
        NotJSONError: It is nested too deep, or holds too long a number.
    """
    # Nearly every text is too short for either, and so need not be read.
    deep = text.count("{") + text.count("[") > MAX_DEPTH
    if deep or (len(text) > _DIGITS and _LONG.search(text)):
        try:
            value = load(text)
        except ValueError:
            raise NotJSONError(
                f"{path} holds an integer of more than {_DIGITS} digits, or is nested far too deep"
            ) from None
        _check(value, path, 0)


def _check(value: Any, path: str, depth: int) -> None:
    if value is None:
        return
    if isinstance(value, str):
        check_text(value, path)
    elif isinstance(value, int | float):
        _check_number(value, path)
    elif depth == MAX_DEPTH:
        raise _refused(path, f"is nested more than {MAX_DEPTH} deep")
    elif isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                kind = type(name).__name__
                raise _refused(path, f"has a key of type {kind}; JSON's keys are strings")
            check_text(name, path)
            _check(item, f"{path}.{name}", depth + 1)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _check(item, f"{path}[{place}]", depth + 1)
    else:
        raise _refused(
            path,
            f"is of type {type(value).__name__}, which JSON cannot hold; "
            "convert it to a dict, list, str, number, bool or None",
        )


def _check_number(value: float, path: str) -> None:
    if isinstance(value, int):
        if not -_TOO_LONG < value < _TOO_LONG:
            raise _refused(path, "is an integer of more than 4300 digits; use a string")
    elif not math.isfinite(value):
        raise _refused(path, f"is {value}, which JSON cannot hold; use None or a string")


def _refused(path: str, reason: str) -> NotJSONError:
    # The names in a path are the caller's: of any length, and not all can be printed.
    shown = path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}…"
    if not shown.isprintable():
        shown = shown.encode("unicode_escape").decode()
    return NotJSONError(f"{shown} {reason}")


def load(text: str) -> Any:
    """The value of JSON text that `dump` wrote.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return from_json(text)
    except ValueError:
        # The fast parser refuses lone surrogates; this one keeps them.
        try:
            return json.loads(text)
        except RecursionError:
            raise ValueError("nested too deep") from None
