"""docs/recipes.md and examples/: every one is run."""

import ast
import asyncio
import inspect
import re
import runpy
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from agents import Agent, Runner, SessionSettings, set_tracing_disabled
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory
from llama_index.core import MockEmbedding, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms import types as li
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLM
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.schema import Document
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.conversation import Conversation
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart
from pydantic_ai.models.test import TestModel as PydanticTestModel

import chatstore
from chatstore import RedisChatStore, open_store
from chatstore.adapters.langchain import ChatStoreMessageHistory
from chatstore.adapters.llama_index import LlamaIndexChatStore, LlamaIndexMemoryStore
from chatstore.adapters.openai_agents import ChatStoreSession
from chatstore.adapters.pydantic_ai import ChatStoreConversations
from chatstore.importers import import_file
from tests.adapters.test_llama_index_loops import answers, weather
from tests.adapters.test_openai_session import Played, says
from tests.importers.test_frameworks import langchain

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::ResourceWarning",  # recipes leave the closing to the end of the program
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def test_recipes_are_short() -> None:
    assert len(RECIPES) >= 10
    assert max(len(recipe.splitlines()) for recipe in RECIPES) <= 6


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_a_recipe(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = RECIPES[number]
    if "redis://localhost:6379" in recipe:
        url = request.getfixturevalue("redis_url")
        recipe = recipe.replace("redis://localhost:6379", url)
    if "langchain.db" in recipe:
        langchain(tmp_path / "langchain.db")
    monkeypatch.chdir(tmp_path)
    run(recipe, names("LangChain" if "RunnableWith" in recipe else ""))
    assert "print(" not in recipe or capsys.readouterr().out.strip()


def names(framework: str) -> dict[str, Any]:
    set_tracing_disabled(True)
    return {
        "Agent": Agent,
        "ChatStoreConversations": ChatStoreConversations,
        "Conversation": Conversation,
        "PydanticAgent": PydanticAgent,
        "TestModel": PydanticTestModel,
        "hello": ModelRequest.user_text_prompt("Hello"),
        "reply": ModelResponse(parts=[TextPart("Hi")]),
        "ChatMemoryBuffer": ChatMemoryBuffer,
        "ChatStoreMessageHistory": ChatStoreMessageHistory,
        "ChatStoreSession": ChatStoreSession,
        "LlamaIndexChatStore": LlamaIndexChatStore,
        "LlamaIndexMemoryStore": LlamaIndexMemoryStore,
        "Memory": Memory,
        "RedisChatStore": RedisChatStore,
        "RunnableWithMessageHistory": RunnableWithMessageHistory,
        "Runner": Runner,
        "SessionSettings": SessionSettings,
        "SimpleChatEngine": SimpleChatEngine,
        "agent": FunctionAgent(
            tools=[weather],
            llm=MockFunctionCallingLLM(response_generator=answers, is_chat_model=True),
            streaming=False,
        ),
        "chatstore": chatstore,
        "import_file": import_file,
        "index": SummaryIndex.from_documents(
            [Document(text="Oslo is sunny.")], embed_model=MockEmbedding(embed_dim=4)
        ),
        "li": li,
        "llm": MockLLM(),
        "model": FakeListChatModel(responses=["Hi"]) if framework else Played(says("Hi")),
        "open_store": open_store,
        "prompt": ChatPromptTemplate.from_messages(
            [MessagesPlaceholder("past"), ("human", "{said}")]
        ),
    }


def run(source: str, scope: dict[str, Any]) -> None:
    code = compile(source, "recipe", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(FunctionType(code, scope)())
    else:
        exec(code, scope)


@pytest.mark.parametrize("name", ["llama_index", "langchain", "openai_agents", "pydantic_ai"])
def test_an_example_goes_on_where_it_was(
    name: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        example = runpy.run_path(str(ROOT / "examples" / f"{name}_chat.py"))
        if "main" in example:
            example["main"](url)
        else:
            text = PydanticTestModel(custom_output_text="text")
            model = text if name == "pydantic_ai" else Played(says("text"))
            asyncio.run(example["chat"](url, model))
    once = ["user: Hello again", "assistant: text"]
    assert capsys.readouterr().out.splitlines() == [*once, *once, *once]
