"""Commands of many tasks, sent together: one write and one read for all that came meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError, ResponseError

from chatstore.redis.asking import Run
from chatstore.redis.commands import RAW, piped, unconfirmed, words
from chatstore.redis.lines import Broken, packed

UNDERWAY = 2
"""How many batches are under way at most; what comes meanwhile makes the next one."""

SIZE = 128
"""How many scripts a batch runs at most."""


class _Waiting(NamedTuple):
    run: Run
    reply: "asyncio.Future[Any]"


class Batches:
    """Scripts on their way to one server.

    Every batch is a task of its own: a caller that is cancelled does not stop what was sent.

    Args:
        client: A `redis.asyncio.Redis`.
        where: How errors call the server.
        replicas: How many must confirm a write.
        wait_ms: For how long they are waited for.
    """

    def __init__(self, client: Any, where: str, replicas: int, wait_ms: int) -> None:
        self._client = client
        self._where = where
        self._replicas = replicas
        self._wait_ms = wait_ms
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, run: Run) -> "asyncio.Future[Any]":
        """The reply to come."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(_Waiting(run, reply))
        if len(self._tasks) < UNDERWAY:
            task = loop.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        return reply

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled():  # the event loop ends, maybe before the task's first step
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.reply.cancel()

    async def settled(self) -> None:
        """Return when nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:SIZE], self._waiting[SIZE:]
            try:
                replies = await self._send(batch)
            except asyncio.CancelledError:
                for waiting in batch:
                    waiting.reply.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - it is each caller's
                replies = [error] * len(batch)
            for waiting, reply in zip(batch, replies):
                if waiting.reply.done():
                    continue
                if isinstance(reply, Exception):
                    waiting.reply.set_exception(reply)
                else:
                    waiting.reply.set_result(reply)
        # Not only when the loop says that it is done, which is a turn later: who comes in between
        # would rely on a task that does not look again.
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._tasks.discard(task)

    async def _send(self, batch: Sequence[_Waiting]) -> Sequence[Any]:
        writes = self._replicas > 0 and any(waiting.run.writes for waiting in batch)
        replies = await self._together([words(waiting.run) for waiting in batch], wait=writes)
        unknown = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            texts = [words(batch[place].run, text=True) for place in unknown]
            for place, reply in zip(unknown, await self._together(texts, wait=writes)):
                replies[place] = reply
        return replies

    async def _together(self, commands: Sequence[Sequence[Any]], *, wait: bool) -> list[Any]:
        if wait:
            commands = [*commands, ("WAIT", self._replicas, self._wait_ms)]
        try:
            replies = await self._directly(commands)
        except Broken:  # what reads may be repeated, and what writes says who it is
            replies = await piped(self._client, commands).execute(raise_on_error=False)
        if wait:
            confirmed = replies.pop()
            error = unconfirmed(self._where, confirmed, self._replicas, self._wait_ms)
            if error is not None:
                replies = [reply if isinstance(reply, Exception) else error for reply in replies]
        return replies

    async def _directly(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        # A pipeline of redis-py encodes each word by itself: that is half of a batch's time.
        pool = self._client.connection_pool
        connection = await pool.get_connection()
        try:
            await connection.send_packed_command(b"".join(map(packed, commands)))
            return [await _reply(connection) for _ in commands]
        except BaseException as error:
            # Whatever happened, replies may be on their way: nobody may take them for theirs.
            await connection.disconnect(nowait=True)
            if isinstance(error, Exception):
                raise Broken from None
            raise
        finally:
            await pool.release(connection)


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error


async def run_one(client: Any, run: Run) -> Any:
    """The reply of a script."""
    try:
        return await client.execute_command(*words(run), **RAW)
    except NoScriptError:
        return await client.execute_command(*words(run, text=True), **RAW)
