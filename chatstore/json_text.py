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
            return f"{{{quote(name)}:{quote(item)}}}"
    _check(value, path, depth)
    return encode(value)


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
    if value is None or isinstance(value, str):
        return
    if isinstance(value, int):
        if not -_TOO_LONG < value < _TOO_LONG:
            raise NotJSONError(f"{path} is an integer of more than 4300 digits; use a string")
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJSONError(f"{path} is {value}, which JSON cannot hold; use None or a string")
        return
    if depth == MAX_DEPTH:
        raise NotJSONError(f"{path} is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise NotJSONError(
                    f"{path} has a key of type {type(name).__name__}; JSON's keys are strings"
                )
            _check(item, f"{path}.{name}", depth + 1)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _check(item, f"{path}[{place}]", depth + 1)
    else:
        raise NotJSONError(
            f"{path} is of type {type(value).__name__}, which JSON cannot hold; "
            "convert it to a dict, list, str, number, bool or None"
        )


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
