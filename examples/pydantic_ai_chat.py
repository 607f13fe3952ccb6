"""Pydantic AI with a conversation that goes on where it was: run it twice.

python examples/pydantic_ai_chat.py chat.db
python examples/pydantic_ai_chat.py redis://localhost:6379
"""

import asyncio
import sys

from pydantic_ai import Agent
from pydantic_ai.conversation import Conversation
from pydantic_ai.models import Model

from chatstore import open_async_store
from chatstore.adapters.pydantic_ai import ChatStoreConversations


async def chat(url: str, model: Model | str = "test") -> None:
    """Say something, and show what is remembered.

    Give it your own model, such as "openai:gpt-5-mini"; the one called "test" needs no key.
    """
    async with open_async_store(url, ttl=300) as store:
        conversations = ChatStoreConversations(store)
        conversation = await conversations.load("user1") or Conversation(conversation_id="user1")
        result = await Agent(model).run("Hello again", conversation=conversation)
        await conversations.save(result, scope="alice")
        async for message in store.iter_messages("user1"):
            print(message)


if __name__ == "__main__":
    asyncio.run(chat(sys.argv[1] if len(sys.argv) > 1 else "chat.db"))
