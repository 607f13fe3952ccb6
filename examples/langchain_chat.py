"""LangChain with a history that goes on where it was: run it twice.

python examples/langchain_chat.py chat.db
python examples/langchain_chat.py redis://localhost:6379
"""

import sys

from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage

from chatstore import open_store
from chatstore.adapters.langchain import ChatStoreMessageHistory


def main(url: str) -> None:
    """Say something, and show what is remembered."""
    # Put your own model here; this one says "text".
    model = FakeListChatModel(responses=["text"])
    with open_store(url, ttl=300) as store:
        history = ChatStoreMessageHistory("user1", store)
        said = HumanMessage("Hello again")
        history.add_messages([said, model.invoke([*history.messages, said])])
        for message in store.iter_messages("user1"):
            print(message)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "chat.db")
