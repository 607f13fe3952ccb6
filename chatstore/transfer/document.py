"""Writing the shape `.json`: the document of LlamaIndex's `SimpleChatStore`, and more beside.

Each message has a line of its own, so that the document can be read by people, and written without
being held. What is known of the conversations comes behind the messages, for they pass only once.
"""

import re
import tempfile

from chatstore import json_text
from chatstore.errors import TransferError
from chatstore.formats.chatstore import NAME
from chatstore.json_text import quote
from chatstore.messages import ChatMessage
from chatstore.records import Row
from chatstore.transfer import llama_index, message, state
from chatstore.transfer.lines import EVERY, in_order, is_alone, provenance
from chatstore.transfer.sink import Write
from chatstore.transfer.stream import VERSION, Progress, Snapshot, TransferReport

CLASS_NAME = "SimpleChatStore"

_IN_MEMORY = 8 << 20
_FLUSH = 1 << 20
_readable = re.compile(r'\{"role":"(?:' + "|".join(sorted(llama_index.ROLES)) + '")').match
"""Whether LlamaIndex reads a plain payload: it knows the role."""


def write(snapshot: Snapshot, to: Write, source: str, progress: Progress | None) -> TransferReport:
    """Write a snapshot."""
    to(
        f'{{\n"class_name":"{CLASS_NAME}","format":"chatstore","version":{VERSION},\n'
        f'{provenance(snapshot, source)},\n"store":{{'.encode("ascii")
    )
    conversations = messages = 0
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as told:
        waiting: list[str] = []
        comma = ""
        size = 0
        for conversation, rows in in_order(snapshot):
            key = quote(conversation.key)
            before = f"{',' if conversations else ''}\n{key}:[\n"
            for row in rows:
                text = before + entry(row)
                before = ",\n"
                waiting.append(text)
                messages += 1
                size += len(text)
                if size > _FLUSH:
                    to("".join(waiting).encode("ascii"))
                    waiting.clear()
                    size = 0
                if progress is not None and not messages % EVERY:
                    progress(messages, snapshot.messages)
            if before == ",\n":
                waiting.append("\n]")
                conversations += 1
            elif not is_alone(conversation):
                continue
            _keep(told, f"{comma}\n{key}:{{{state.told(conversation)}}}")
            comma = ","
        to("".join(waiting).encode("ascii"))
        to(b'\n},\n"conversations":{')
        told.seek(0)
        while block := told.read(_FLUSH):
            to(block)
    to(b"\n}\n}\n")
    if progress is not None:
        progress(messages, messages)
    return TransferReport(conversations, messages)


def entry(row: Row) -> str:
    """A message of the document."""
    try:
        return _entry(row)
    except TypeError:
        mended = message.mended(row)
        if mended == row:
            raise
        return _entry(mended)


def _entry(row: Row) -> str:
    payload = row.payload
    if row.format == NAME and message.is_plain(payload) and _readable(payload):
        return f"{payload[:-1]},{message.head(row)}}}"
    native = message.native(row)
    if row.format == NAME and native.value is not None and llama_index.reads(native.value):
        return f"{payload[:-1]},{message.head(row)}}}"
    view = native.view or ChatMessage(role=row.role or "assistant")
    shown = json_text.encode(llama_index.shown(view))
    return f'{shown[:-1]},{message.head(row)},"native":{{{native.members}}}}}'


def _keep(file: tempfile.SpooledTemporaryFile[bytes], text: str) -> None:
    try:
        file.write(text.encode("ascii"))
    except OSError as error:
        raise TransferError(
            f"there is no room in {tempfile.gettempdir()!r} for what the export keeps aside "
            f"({error.strerror}); free some, or export as .jsonl"
        ) from error
