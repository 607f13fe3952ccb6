"""`RedisChatStore`: conversations in Redis or Valkey, for callers that block."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from redis.exceptions import NoScriptError

from chatstore import errors
from chatstore import operations as ops
from chatstore.redis import connect, faults, transfer
from chatstore.redis.asking import Ask, Plan, Request, Run, Scan
from chatstore.redis.batches import RAW, unconfirmed
from chatstore.redis.lines import Broken, Lines
from chatstore.redis.settings import settings
from chatstore.store import ChatStore
from chatstore.transfer import OnConflict, Snapshot, Stream, TransferReport

T = TypeVar("T")

SCAN_COUNT = 2000
"""How many keys the server looks at in a round trip of a listing."""


class RedisChatStore(ChatStore):
    """Conversations in Redis or Valkey: each is one Redis key, each call one script on the server.

    What is confirmed is as durable as the server's configuration makes it, and Redis as it comes
    loses what was written since its last snapshot; see docs/redis.md.

    Args:
        redis_url: `redis://`, `rediss://` (TLS), `unix://`, `valkey://`,
            `redis+cluster://host:port,host:port`, `redis+sentinel://host:port,…/service/db`.
        ttl: Seconds that new conversations live after each write; `None`: for ever.
        redis_client: A `redis.Redis` or `redis.RedisCluster` to use instead of a URL. It is not
            closed with the store.
        namespace: Stores with different namespaces never see each other.
        prefix: What the names of all Redis keys begin with.
        wait_replicas: How many replicas must confirm a write before the call returns; if they do
            not, `StoreUnavailableError`, though the write is stored on the server.
        wait_ms: For how many milliseconds they are waited for.
        strict: Raise for a message that cannot be decoded, instead of returning an
            `UndecodableMessage`.

    Raises:
        ValueError: An argument is out of its range. Nothing is connected before the first call.
    """

    def __init__(
        self,
        redis_url: str = "redis://localhost:6379",
        *,
        ttl: float | None = None,
        redis_client: Any = None,
        namespace: str = "",
        prefix: str = "chatstore",
        wait_replicas: int = 0,
        wait_ms: int = 1000,
        strict: bool = False,
    ) -> None:
        self._settings = settings(
            redis_url,
            redis_client,
            awaited=False,
            ttl=ttl,
            namespace=namespace,
            prefix=prefix,
            wait_replicas=wait_replicas,
            wait_ms=wait_ms,
        )
        self._strict = strict
        self._plans = self._settings.plans
        self._client = redis_client
        self._lines: Lines | None = None
        self._opening = threading.Lock()
        self._closed = False

    def __repr__(self) -> str:
        return f"RedisChatStore({self._settings.where!r})"

    def close(self) -> None:
        """Let go of the connections, if the store made them. Closing twice is fine."""
        self._closed = True
        with self._opening:
            client, self._client = self._client, None
            self._lines = None
        if client is not None and self._settings.address is not None:
            for part in connect.parts(client):
                part.close()

    def _execute(self, operation: ops.Operation[T]) -> T:
        return self._carry_out(self._plans.plan(operation))

    def _carry_out(self, plan: Plan[T]) -> T:
        if self._closed:
            raise errors.closed()
        try:
            request = next(plan)
            while True:
                try:
                    reply = self._perform(request)
                except errors.ChatStoreError as error:
                    request = plan.throw(error)
                else:
                    request = plan.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            plan.close()

    def _connected(self) -> Any:
        client = self._client
        if client is None:
            with self._opening:
                if self._closed:
                    raise errors.closed()
                if self._client is None:
                    assert self._settings.address is not None  # noqa: S101
                    self._client = connect.client(self._settings.address, awaited=False)
                    if self._settings.holds:
                        self._lines = Lines(self._client.connection_pool)
                client = self._client
        return client

    def _perform(self, request: Request) -> Any:
        patience = None
        while True:
            try:
                client = self._client or self._connected()
                if isinstance(request, Run):
                    return self._run(client, request)
                if isinstance(request, Ask):
                    return self._ask(client, request)
                return list(self._scan(client, request.pattern))
            except errors.ChatStoreError:
                raise
            except faults.DRIVER as error:
                patience = patience or self._settings.patience()
                pause = patience.pause(error)
                if not pause:
                    key = None if isinstance(request, Scan) else request.key
                    raise self._fault(error, key) from None
            time.sleep(pause)

    def _fault(self, error: Exception, key: str | None) -> Exception:
        fault = faults.translated(error, self._settings.where, key)
        if isinstance(fault, errors.StoreReadOnlyError) and self._settings.address is not None:
            # Connections that sit on a master of before: the next call finds the new one.
            if self._lines is not None:
                self._lines.let_go()
            pool = getattr(self._client, "connection_pool", None)
            if pool is not None:
                pool.disconnect(inuse_connections=False)
        return fault

    def _run(self, client: Any, request: Run) -> Any:
        script, names = request.script, request.names
        words = (len(names), *names, *request.arguments)
        if request.writes and self._settings.replicas:
            return self._run_confirmed(client, request, words)
        try:
            return self._one(client, ("EVALSHA", script.sha, *words))
        except NoScriptError:
            return self._one(client, ("EVAL", script.text, *words))

    def _one(self, client: Any, words: Sequence[str | int]) -> Any:
        """The reply to one command."""
        lines = self._lines
        if lines is not None:
            try:
                return lines.ask(words)
            except Broken:
                pass  # what reads may be repeated, and what writes says who it is
        return client.execute_command(*words, **RAW)

    def _run_confirmed(self, client: Any, request: Run, words: Sequence[Any]) -> Any:
        """The reply, once the replicas have the write: WAIT is about its own connection."""
        wait = ("WAIT", self._settings.replicas, self._settings.wait_ms)
        where = request.names[0]
        script = request.script
        reply, confirmed = self._together(client, where, [("EVALSHA", script.sha, *words), wait])
        if isinstance(reply, NoScriptError):
            reply, confirmed = self._together(client, where, [("EVAL", script.text, *words), wait])
        if isinstance(reply, Exception):
            raise reply
        error = unconfirmed(self._settings.where, confirmed, *wait[1:])
        if error is not None:
            raise error
        return reply

    def _together(self, client: Any, where: str, commands: Sequence[Sequence[Any]]) -> Any:
        if self._plans.clustered:
            node = client.get_node_from_key(where)
            client = client.get_redis_connection(node)
        pipe = client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command, **RAW)
        return pipe.execute(raise_on_error=False)

    def _ask(self, client: Any, request: Ask) -> Any:
        commands = request.commands
        if len(commands) == 1 and request.key is not None:
            return [self._one(client, commands[0])]
        pipe = client.pipeline() if self._plans.clustered else client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command, **RAW)
        replies = pipe.execute(raise_on_error=False)
        if request.key is not None:
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    def _scan(self, client: Any, pattern: str) -> Iterator[bytes]:
        nodes = client.get_primaries() if self._plans.clustered else [None]
        for node in nodes:
            where = {} if node is None else {"target_nodes": node}
            cursor = 0
            while True:
                reply = client.execute_command(
                    "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT, "TYPE", "zset",
                    **where, **RAW,
                )  # fmt: skip
                if isinstance(reply[0], dict):  # a Cluster's answer names the node
                    reply = (*reply[0].values(), reply[1])
                cursor, names = reply
                yield from names
                if int(cursor) == 0:
                    break

    # Transfer

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        yield transfer.snapshot(self._plans, self._carry_out)

    def _restore(self, stream: Callable[[], Stream], on_conflict: OnConflict) -> TransferReport:
        return transfer.restore(self._plans, self._carry_out, stream, on_conflict)
