"""The `chitchat-dataset` of PyPI: 7 168 real conversations of two people, 258 145 messages."""

import importlib.util
import os
from typing import Any

from chatstore.formats.chatstore import view
from chatstore.importers.source import Source
from chatstore.importers.talks import Talk, Talks, moment
from chatstore.messages import ChatMessage, text_block

NAME = "chitchat"
SUMMARY = "dataset.json of the PyPI package chitchat-dataset"


def recognise(first: Any) -> bool:
    """Whether a file is of this kind."""
    if not isinstance(first, dict) or not first:
        return False
    talk = next(iter(first.values()))
    if not isinstance(talk, dict) or not isinstance(talk.get("messages"), list):
        return False
    turns = talk["messages"]
    return bool(turns) and isinstance(turns[0], list) and _is_utterance(next(iter(turns[0]), None))


def find() -> str | None:
    """The path of the data, if the package is installed; it is not imported."""
    found = importlib.util.find_spec("chitchat_dataset")
    if found is None or not found.submodule_search_locations:
        return None
    path = os.path.join(found.submodule_search_locations[0], "dataset.json")
    return path if os.path.exists(path) else None


def total(source: Source) -> int:
    """How many messages there are; what is broken counts for nothing here."""
    talks = source.document.values() if isinstance(source.document, dict) else ()
    held = [talk.get("messages") for talk in talks if isinstance(talk, dict)]
    turns = [turn for one in held if isinstance(one, list) for turn in one]
    return sum(len(turn) for turn in turns if isinstance(turn, list))


def read(source: Source, key_prefix: str | None) -> Talks:
    """The conversations, each under its own id.

    Order is that of the file: 7 157 neighbours share their timestamp. Who speaks first is the
    user, the other one the assistant.
    """
    if not isinstance(source.document, dict):
        source.fail("the file", "is no object of conversations")
    for number, (id, talk) in enumerate(source.document.items(), 1):
        place = f"conversation {number}"
        if not isinstance(talk, dict) or not isinstance(talk.get("messages"), list):
            source.fail(place, "has no list of messages")
        messages: list[ChatMessage] = []
        first: str | None = None
        for turn in talk["messages"]:
            if not isinstance(turn, list) or not all(map(_is_utterance, turn)):
                source.fail(place, "holds a turn that is no list of text, timestamp and sender")
            for said in turn:
                first = first or said["sender"]
                messages.append(_message(source, place, said, first))
        # `start` is kept as it is: in most conversations it is later than the first message.
        rest = {name: talk[name] for name in talk if name != "messages"}
        metadata = {"source": {"format": NAME, **rest}}
        yield Talk(place, f"{key_prefix or ''}{id}", messages, metadata)


def _is_utterance(said: Any) -> bool:
    return (
        isinstance(said, dict)
        and isinstance(said.get("text"), str)
        and isinstance(said.get("sender"), str)
    )


def _message(source: Source, place: str, said: dict[str, Any], first: str) -> ChatMessage:
    try:
        created_at = moment(said.get("timestamp"))
    except ValueError as error:
        source.fail(place, str(error))
    # A quarter of a million of them: their parts were looked at, and need no second look.
    message = view(
        {
            "role": "user" if said["sender"] == first else "assistant",
            "additional_kwargs": {"sender": said["sender"]},
            "blocks": [text_block(said["text"])],
        }
    )
    message.__dict__["created_at"] = created_at
    return message
