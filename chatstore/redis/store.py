"""`RedisChatStore`: conversations in Redis or Valkey, for callers that block."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from redis.exceptions import NoScriptError

from chatstore import errors
from chatstore import operations as ops
from chatstore.redis import connect, faults, snapshots, transfer
from chatstore.redis.asking import Ask, Plan, Request, Run, carried_out
from chatstore.redis.commands import (
    RAW,
    alone,
    piped,
    scanning,
    servers,
    unconfirmed,
    unrefused,
    words,
)
from chatstore.redis.lines import Broken, Lines
from chatstore.redis.settings import settings
from chatstore.store import ChatStore
from chatstore.transfer import OnConflict, Snapshot, Stream, TransferReport

T = TypeVar("T")


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
        return carried_out(plan, self._perform)

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
                return self._scan(client, request.pattern)
            except errors.ChatStoreError:
                raise
            except faults.DRIVER as error:
                patience = patience or self._settings.patience()
                pause = patience.pause(error)
                if not pause:
                    raise self._fault(error, request.key) from None
            time.sleep(pause)

    def _fault(self, error: Exception, key: str | None) -> Exception:
        fault = self._settings.fault(error, key)
        if self._settings.is_stale(fault):
            if self._lines is not None:
                self._lines.let_go()
            pool = getattr(self._client, "connection_pool", None)
            if pool is not None:
                pool.disconnect(inuse_connections=False)
        return fault

    def _run(self, client: Any, request: Run) -> Any:
        if request.writes and self._settings.replicas:
            return self._run_confirmed(client, request)
        try:
            return self._one(client, words(request))
        except NoScriptError:
            return self._one(client, words(request, text=True))

    def _one(self, client: Any, command: Sequence[str | int]) -> Any:
        """The reply to one command."""
        lines = self._lines
        if lines is not None:
            try:
                return lines.ask(command)
            except Broken:
                pass  # what reads may be repeated, and what writes says who it is
        return client.execute_command(*command, **RAW)

    def _run_confirmed(self, client: Any, request: Run) -> Any:
        """The reply, once the replicas have the write: WAIT is about its own connection."""
        wait = ("WAIT", self._settings.replicas, self._settings.wait_ms)
        where = request.names[0]
        reply, confirmed = self._together(client, where, [words(request), wait])
        if isinstance(reply, NoScriptError):
            reply, confirmed = self._together(client, where, [words(request, text=True), wait])
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
        return piped(client, commands).execute(raise_on_error=False)

    def _ask(self, client: Any, request: Ask) -> list[Any]:
        command = alone(request)
        if command is not None:
            return [self._one(client, command)]
        pipe = piped(client, request.commands, clustered=self._plans.clustered)
        return unrefused(request, pipe.execute(raise_on_error=False))

    def _scan(self, client: Any, pattern: str) -> list[bytes]:
        found: list[bytes] = []
        for ask in servers(client, clustered=self._plans.clustered):
            found += carried_out(scanning("zset", "MATCH", pattern), ask)
        return found

    # Transfer

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        yield snapshots.snapshot(self._plans, self._carry_out)

    def _restore(self, stream: Callable[[], Stream], on_conflict: OnConflict) -> TransferReport:
        return transfer.restore(self._plans, self._carry_out, stream, on_conflict)
