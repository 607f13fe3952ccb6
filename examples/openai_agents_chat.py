"""The OpenAI Agents SDK with a session that goes on where it was: run it twice.

OPENAI_API_KEY=… python examples/openai_agents_chat.py chat.db
OPENAI_API_KEY=… python examples/openai_agents_chat.py redis://localhost:6379
"""

import asyncio
import sys

from agents import Agent, RunConfig, Runner
from agents.models.interface import Model

from chatstore import open_async_store
from chatstore.adapters.openai_agents import ChatStoreSession


async def chat(url: str, model: Model | str | None = None) -> None:
    """Say something, and show what is remembered."""
    async with open_async_store(url, ttl=300) as store:
        await Runner.run(
            Agent(name="Helper", model=model),
            "Hello again",
            session=ChatStoreSession("user1", store),
            run_config=RunConfig(tracing_disabled=True),
        )
        async for message in store.iter_messages("user1"):
            print(message)


if __name__ == "__main__":
    asyncio.run(chat(sys.argv[1] if len(sys.argv) > 1 else "chat.db"))
