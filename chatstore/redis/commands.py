"""What is said to redis-py, and what is made of its replies: where both faces do the same."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from chatstore.redis import faults
from chatstore.redis.asking import Ask, Run

RAW = {"NEVER_DECODE": True}
"""Replies are bytes, whatever the client's `decode_responses` is."""

SCAN_COUNT = 2000
"""How many keys the server looks at in a round trip of a listing."""


def words(run: Run, *, text: bool = False) -> tuple[str | int, ...]:
    """The command that runs a script, by its name, or by its text if the server has not got it."""
    what = ("EVAL", run.script.text) if text else ("EVALSHA", run.script.sha)
    return (*what, len(run.names), *run.names, *run.arguments)


def piped(client: Any, commands: Sequence[Sequence[Any]], *, clustered: bool = False) -> Any:
    """A pipeline with commands that go together, and of which each is for itself."""
    pipe = client.pipeline() if clustered else client.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command, **RAW)
    return pipe


def alone(ask: Ask) -> Sequence[str | int] | None:
    """The only command, if a refusal of it is raised: it needs no pipeline."""
    return ask.commands[0] if len(ask.commands) == 1 and ask.key is not None else None


def unrefused(ask: Ask, replies: list[Any]) -> list[Any]:
    """The replies, among which are refusals only where they are wanted."""
    if ask.key is not None:
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
    return replies


def servers(client: Any, *, clustered: bool) -> list[Callable[[Sequence[str | int]], Any]]:
    """What asks every master of a Cluster, or the one server: each takes a command."""

    def asking(**where: Any) -> Callable[[Sequence[str | int]], Any]:
        return lambda command: client.execute_command(*command, **where, **RAW)

    if not clustered:
        return [asking()]
    return [asking(target_nodes=node) for node in client.get_primaries()]


def scanning(kind: str, *match: str) -> Generator[tuple[str | int, ...], Any, list[bytes]]:
    """The names that one server has: yields commands, and is sent their replies.

    Args:
        kind: What the names are of, as TYPE says it.
        *match: "MATCH" and a pattern, or nothing.
    """
    found: list[bytes] = []
    cursor = 0
    while True:
        reply = yield ("SCAN", cursor, *match, "COUNT", SCAN_COUNT, "TYPE", kind)
        if isinstance(reply[0], dict):  # a Cluster's answer names the node
            reply = (*reply[0].values(), reply[1])
        cursor = int(reply[0])
        found += reply[1]
        if cursor == 0:
            return found


def unconfirmed(where: str, confirmed: Any, replicas: int, wait_ms: int) -> Exception | None:
    """The error, if too few replicas confirmed."""
    if isinstance(confirmed, Exception):
        return confirmed
    if int(confirmed) < replicas:
        return faults.unconfirmed(where, int(confirmed), replicas, wait_ms)
    return None
