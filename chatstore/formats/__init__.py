"""Views: from the JSON of whoever wrote a message to a `ChatMessage`, without their library.

A format is a name for a JSON shape; each has a file here with one pure function,
`view(payload) -> ChatMessage`. A shape that changes gets a new name, such as "chatstore/2", so
that an older version of this library knows that it does not know it.
"""

from collections.abc import Callable
from typing import Any

from chatstore.formats import (
    chatstore,
    langchain,
    llama_index,
    openai_chat,
    openai_responses,
    pydantic_ai,
)
from chatstore.messages import ChatMessage

VIEWS: dict[str, Callable[[dict[str, Any]], ChatMessage]] = {
    chatstore.NAME: chatstore.view,
    langchain.NAME: langchain.view,
    llama_index.NAME: llama_index.view,
    openai_chat.NAME: openai_chat.view,
    openai_responses.NAME: openai_responses.view,
    pydantic_ai.NAME: pydantic_ai.view,
}
"""The view of each format, by its name."""
