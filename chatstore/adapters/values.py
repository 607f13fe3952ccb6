"""Values that JSON cannot hold and a framework's messages do: kept equal, by a short list of kinds.

`plain` makes JSON of them and notes where they stood and what they were; `restore` makes them
again. A kind is a name in this file: no class is ever looked up by what a payload says. What is of
no kind stays as it is, and the store refuses it with its path.
"""

import base64
import datetime as dt
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from chatstore.json_text import MAX_DEPTH

Notes = list[list[Any]]
"""For each value that was converted: the steps to it, and its kind. Inner ones come first."""

Steps = tuple[str | int, ...]

# Models that frameworks put into messages as objects, each a pydantic one: module and class.
_MODELS = {
    # LlamaIndex's OpenAI LLMs leave these in `additional_kwargs["tool_calls"]`.
    "openai.tool_call": (
        "openai.types.chat.chat_completion_message_function_tool_call",
        "ChatCompletionMessageFunctionToolCall",
    ),
    "openai.tool_call_delta": (
        "openai.types.chat.chat_completion_chunk",
        "ChoiceDeltaToolCall",
    ),
    # The artifact of a LangChain tool that retrieves.
    "langchain.document": ("langchain_core.documents.base", "Document"),
}
_PATH = type(Path())
_KIND_OF_MODEL = {name: kind for kind, name in _MODELS.items()}


def plain(value: Any, notes: Notes, steps: Steps = ()) -> Any:
    """The value as JSON could hold it; what was converted is added to `notes`."""
    kind = type(value)
    if value is None or kind is str or kind is int or kind is float or kind is bool:
        return value
    if len(steps) > MAX_DEPTH:
        return value
    if isinstance(value, dict):
        return {k: plain(item, notes, (*steps, k)) for k, item in value.items()}
    if isinstance(value, list):
        return [plain(item, notes, (*steps, i)) for i, item in enumerate(value)]
    if kind is tuple:
        made: Any = [plain(item, notes, (*steps, i)) for i, item in enumerate(value)]
        name = "tuple"
    elif kind is bytes:
        made, name = base64.b64encode(value).decode("ascii"), "bytes"
    elif kind is _PATH:
        made, name = str(value), "path"
    elif kind is dt.datetime and _is_exact(value):
        made, name = value.isoformat(), "datetime"
    elif known := _KIND_OF_MODEL.get((kind.__module__, kind.__name__)):
        made, name = plain(value.model_dump(), notes, steps), known
        if _made(name, made) != value:
            return value  # refused: it would not come back equal
    else:
        return value
    notes.append([list(steps), name])
    return made


def restore(value: Any, notes: Any) -> Any:
    """The value that `plain` was given; a note that fits nothing is passed over."""
    if not isinstance(notes, list):
        return value
    for note in notes:
        try:
            (*path, last), kind = note
            parent = value
            for step in path:
                parent = parent[step]
            parent[last] = _made(kind, parent[last])
        except (ValueError, TypeError, LookupError, ImportError):
            continue
    return value


def _is_exact(moment: dt.datetime) -> bool:
    again = dt.datetime.fromisoformat(moment.isoformat())
    return again == moment and again.tzinfo == moment.tzinfo and not moment.fold


def _made(kind: str, value: Any) -> Any:
    if kind in _MODELS:
        module, name = _MODELS[kind]
        return getattr(import_module(module), name).model_validate(value)
    return _MAKERS[kind](value)


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "path": Path,
    "tuple": tuple,
    "datetime": dt.datetime.fromisoformat,
}
