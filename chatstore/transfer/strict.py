"""Strict JSON: what parsers agree on, or nothing.

Python's parser lets the last of two equal names win, reads NaN, and turns 1e400 into infinity.
A file is refused for each of these, for what it says is not what whoever wrote it said.
"""

import json
import math
from typing import Any, Never

from pydantic_core import from_json

from chatstore.json_text import MAX_DEPTH, NotJSONError, dump, encode


class NotStrictError(ValueError):
    """Text that is not strict JSON; what this says quotes nothing of the text."""


def load(text: str) -> Any:
    """The value of JSON text.

    Raises:
        NotStrictError: It is not JSON, or parsers would disagree on what it says.
    """
    value, end = load_at(text, skip_space(text, 0))
    if skip_space(text, end) != len(text):
        raise NotStrictError("there is more behind the value")
    return value


def load_canonical(text: str) -> Any:
    """The value of JSON text that is just as this library's encoder writes it.

    Raises:
        NotStrictError: It is not.
    """
    # The fast parser misses repeated names and numbers that are too large, but text with those
    # differs from what the encoder makes of its value. Equal text is also ASCII in one line.
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        try:
            value = from_json(text, allow_inf_nan=False)
            if encode(value) == text:
                return value
        except ValueError:  # a lone surrogate, most likely
            pass
    value = load(text)
    try:
        if dump(value, "payload") == text:
            return value
    except NotJSONError:
        raise NotStrictError(_DEEP) from None
    raise NotStrictError("it could be written otherwise")


def load_at(text: str, start: int) -> tuple[Any, int]:
    """The value that begins at `start`, and where it ends.

    Raises:
        NotStrictError: As in `load`.
    """
    try:
        return _decoder.raw_decode(text, start)
    except RecursionError:
        raise NotStrictError(_DEEP) from None
    except json.JSONDecodeError as error:
        raise NotStrictError(f"{error.msg} (character {error.pos - start + 1})") from None
    except NotStrictError:
        raise
    except ValueError:  # CPython's limit of digits
        raise NotStrictError("an integer has too many digits") from None


def skip_space(text: str, start: int) -> int:
    """Where the space that begins at `start` ends."""
    while text[start : start + 1] in _SPACE:
        start += 1
    return start


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictError("an object has the same name twice")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotStrictError("a number is too large")
    return number


def _constant(name: str) -> Never:
    raise NotStrictError(f"{name} is no JSON")


_SPACE = frozenset(" \t\n\r")
_DEEP = "it is nested too deep"
_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_constant
)
