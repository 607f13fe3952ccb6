"""Guests: each module here puts a framework's own message store on top of a `ChatStore`.

None is imported with `chatstore`. Each needs its framework, which an extra of the same name
brings: `llama-index`, `openai-agents`, `langchain`, `pydantic-ai`.

Messages go in as that framework's own JSON and come out of it equal; any other framework, and
`ChatStore.get_messages`, reads them as views. Whatever cannot be kept is refused at the write.
"""
