"""`AsyncRedisChatStore`: conversations in Redis or Valkey, for callers that await."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from redis.exceptions import AskError, MovedError

from chatstore import errors
from chatstore import operations as ops
from chatstore.aio import AsyncChatStore
from chatstore.redis import connect, faults, snapshots, transfer
from chatstore.redis.asking import Ask, Plan, Request, Run, carried_out_awaiting
from chatstore.redis.batches import Batches, run_one
from chatstore.redis.commands import RAW, alone, piped, scanning, servers, unrefused
from chatstore.redis.settings import settings
from chatstore.settle import settled
from chatstore.store import ChatStore
from chatstore.transfer import OnConflict, Snapshot, Stream, TransferReport

T = TypeVar("T")

MOVES = 3
"""How often a write with `wait_replicas` follows a slot that moves."""


class AsyncRedisChatStore(AsyncChatStore):
    """`RedisChatStore` for callers that await, over `redis.asyncio`.

    Calls that wait at the same time share round trips. It belongs to the event loop in which it
    is first used.

    Args:
        redis_url: As in `RedisChatStore`.
        ttl: As in `RedisChatStore`.
        redis_client: A `redis.asyncio.Redis` or `redis.asyncio.RedisCluster` to use instead of a
            URL. It is not closed with the store.
        namespace: As in `RedisChatStore`.
        prefix: As in `RedisChatStore`.
        wait_replicas: As in `RedisChatStore`.
        wait_ms: As in `RedisChatStore`.
        strict: As in `RedisChatStore`.

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
            awaited=True,
            ttl=ttl,
            namespace=namespace,
            prefix=prefix,
            wait_replicas=wait_replicas,
            wait_ms=wait_ms,
        )
        self._strict = strict
        self._plans = self._settings.plans
        self._client = redis_client
        self._nodes: dict[str, Batches] = {}
        self._node_clients: list[Any] = []
        self._opening = asyncio.Lock()
        self._acquainted = False
        self._closed = False

    def __repr__(self) -> str:
        return f"AsyncRedisChatStore({self._settings.where!r})"

    async def close(self) -> None:
        """Let go of the connections, if the store made them. Closing twice is fine."""
        self._closed = True
        client, self._client = self._client, None
        nodes, self._nodes = self._nodes, {}
        for batches in nodes.values():
            await batches.settled()
        if client is not None and self._settings.address is not None:
            self._node_clients += connect.parts(client)
        while self._node_clients:
            await self._node_clients.pop().aclose()

    async def _execute(self, operation: ops.Operation[T]) -> T:
        return await self._carry_out(self._plans.plan(operation))

    async def _carry_out(self, plan: Plan[T]) -> T:
        if self._closed:
            raise errors.closed()
        return await carried_out_awaiting(plan, self._perform)

    async def _perform(self, request: Request) -> Any:
        patience = None
        while True:
            try:
                client = self._connected()
                if self._plans.clustered and not self._acquainted:
                    await self._acquaint(client)
                if isinstance(request, Run):
                    return await self._run(client, request)
                if isinstance(request, Ask):
                    return await self._ask(client, request)
                return await self._scan(client, request.pattern)
            except errors.ChatStoreError:
                raise
            except faults.DRIVER as error:
                patience = patience or self._settings.patience()
                pause = patience.pause(error)
                if not pause:
                    raise await self._fault(error, request.key) from None
            await asyncio.sleep(pause)

    def _connected(self) -> Any:
        if self._closed:
            raise errors.closed()
        if self._client is None:
            assert self._settings.address is not None  # noqa: S101
            self._client = connect.client(self._settings.address, awaited=True)
        return self._client

    async def _acquaint(self, client: Any) -> None:
        """Learn the nodes of a Cluster, once: the client lets a second task use half of them."""
        async with self._opening:
            if not self._acquainted:
                await client.initialize()
                self._acquainted = True

    async def _fault(self, error: Exception, key: str | None) -> Exception:
        fault = self._settings.fault(error, key)
        if self._settings.is_stale(fault):
            pool = getattr(self._client, "connection_pool", None)
            if pool is not None:
                await pool.disconnect(inuse_connections=False)
        return fault

    async def _run(self, client: Any, request: Run) -> Any:
        if not self._plans.clustered:
            return await settled(self._batches("", client).submit(request))
        if not (request.writes and self._settings.replicas):
            return await settled(asyncio.ensure_future(run_one(client, request)))
        return await settled(asyncio.ensure_future(self._run_on_node(client, request)))

    def _batches(self, name: str, client: Any) -> Batches:
        batches = self._nodes.get(name)
        if batches is None:
            shown = self._settings
            batches = Batches(client, shown.where, shown.replicas, shown.wait_ms)
            self._nodes[name] = batches
        return batches

    async def _run_on_node(self, client: Any, request: Run) -> Any:
        """In a Cluster, WAIT must go where the write went."""
        for turn in range(MOVES):
            node = client.get_node_from_key(request.names[0])
            if node.name not in self._nodes:
                self._batches(node.name, self._client_of(node))
            try:
                return await self._nodes[node.name].submit(request)
            except (MovedError, AskError):
                if turn == MOVES - 1:
                    raise
                await client.nodes_manager.initialize()
        raise AssertionError  # pragma: no cover

    def _client_of(self, node: Any) -> Any:
        from redis.asyncio import ConnectionPool, Redis

        pool = ConnectionPool(connection_class=node.connection_class, **node.connection_kwargs)
        client = Redis.from_pool(pool)
        self._node_clients.append(client)
        return client

    async def _ask(self, client: Any, request: Ask) -> list[Any]:
        command = alone(request)
        if command is not None:
            return [await client.execute_command(*command, **RAW)]
        pipe = piped(client, request.commands, clustered=self._plans.clustered)
        return unrefused(request, await pipe.execute(raise_on_error=False))

    async def _scan(self, client: Any, pattern: str) -> list[bytes]:
        found: list[bytes] = []
        for ask in servers(client, clustered=self._plans.clustered):
            found += await carried_out_awaiting(scanning("zset", "MATCH", pattern), ask)
        return found

    def _blocking(self) -> ChatStore:
        return _Blocking(self, asyncio.get_running_loop())


class _Blocking(ChatStore):
    """The same store, for a worker thread: its calls are carried out in the event loop."""

    def __init__(self, store: AsyncRedisChatStore, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._strict = store._strict

    def __repr__(self) -> str:
        return repr(self._store)

    def close(self) -> None:
        """Nothing: it is the other's to close."""

    def _execute(self, operation: ops.Operation[T]) -> T:
        return self._carry_out(self._store._plans.plan(operation))

    def _carry_out(self, plan: Plan[T]) -> T:
        return asyncio.run_coroutine_threadsafe(self._store._carry_out(plan), self._loop).result()

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        yield snapshots.snapshot(self._store._plans, self._carry_out)

    def _restore(self, stream: Callable[[], Stream], on_conflict: OnConflict) -> TransferReport:
        return transfer.restore(self._store._plans, self._carry_out, stream, on_conflict)
