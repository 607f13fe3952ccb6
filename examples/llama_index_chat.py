"""LlamaIndex with a memory that goes on where it was: run it twice.

python examples/llama_index_chat.py chat.db
python examples/llama_index_chat.py redis://localhost:6379
"""

import sys

from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms.mock import MockLLM
from llama_index.core.memory import ChatMemoryBuffer

from chatstore import open_store
from chatstore.adapters.llama_index import LlamaIndexChatStore


def main(url: str) -> None:
    """Say something, and show what is remembered."""
    with open_store(url, ttl=300) as store:
        memory = ChatMemoryBuffer.from_defaults(
            token_limit=3000, chat_store=LlamaIndexChatStore(store), chat_store_key="user1"
        )
        # Put your own model here; this one says "text".
        engine = SimpleChatEngine.from_defaults(llm=MockLLM(max_tokens=1), memory=memory)
        engine.chat("Hello again")
        for message in store.iter_messages("user1"):
            print(message)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "chat.db")
