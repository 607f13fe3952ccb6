"""The format `llama_index`: our own shape, with notes of what JSON cannot say.

LlamaIndex's messages have the shape of `chatstore` and are stored as that. One that holds bytes,
a tuple, a path and the like is stored as this: `types` lists the steps to each such value, and
what it was; in its place stands what LlamaIndex's own JSON would hold.
"""

from typing import Any

from chatstore.formats import chatstore
from chatstore.messages import ChatMessage

NAME = "llama_index"


def view(payload: dict[str, Any]) -> ChatMessage:
    """The message of a payload.

    Raises:
        ValueError: The payload is not a message.
    """
    return chatstore.view({name: payload[name] for name in payload if name != "types"})
