"""How many tokens a message takes: all of it, not its text alone."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from chatstore import json_text
from chatstore.messages import TEXT, Block, ChatMessage

Tokenizer = Callable[[str], Collection[Any]]

MEDIA_TOKENS = 256
"""What an image, a sound, a film or a document counts as: its bytes are not what a model reads."""

_MEDIA = frozenset(("image", "audio", "video", "document", "input_audio", "file"))
_VOCABULARY = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"


def count(message: ChatMessage, tokenizer: Tokenizer) -> int:
    """The tokens of the message's role, blocks and tool calls.

    Example:
        >>> count(ChatMessage("four words are here"), str.split)
        5
    """
    blocks = sum(_block(block, tokenizer) for block in message.blocks)
    calls = message.additional_kwargs.get("tool_calls")
    extra = len(tokenizer(_text(calls))) if calls else 0
    return len(tokenizer(message.role)) + blocks + extra


def _block(block: Block, tokenizer: Tokenizer) -> int:
    kind = block["block_type"]
    if kind == TEXT:
        return len(tokenizer(str(block.get("text", ""))))
    if kind in _MEDIA:
        return MEDIA_TOKENS
    return len(tokenizer(_text({k: v for k, v in block.items() if k != "block_type"})))


def _text(value: Any) -> str:
    try:
        return json_text.dump(value, "block")
    except json_text.NotJSONError:
        return str(value)


def default_tokenizer() -> Tokenizer:
    """Tiktoken's `o200k_base`, if its vocabulary is on this machine; else `estimate`.

    Nothing is ever fetched. tiktoken keeps its vocabulary in the folder that TIKTOKEN_CACHE_DIR
    names, or in a folder `data-gym-cache` among the temporary files.
    """
    folder = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    cache = Path(folder or Path(tempfile.gettempdir()) / "data-gym-cache")
    name = hashlib.sha1(_VOCABULARY.encode(), usedforsecurity=False).hexdigest()
    if not (cache / name).is_file():
        return estimate
    try:
        import tiktoken
    except ImportError:
        return estimate
    encoding = tiktoken.get_encoding("o200k_base")
    return lambda text: encoding.encode(text, disallowed_special=())


def estimate(text: str) -> range:
    """As many tokens as a text has bytes of UTF-8, by four, rounded up.

    For English this is near what OpenAI's tokenizers count; for other scripts it is rather more.

    Example:
        >>> len(estimate("Hello there"))
        3
    """
    return range(-(-len(text.encode("utf-8", "surrogatepass")) // 4))
