"""Cancellation that leaves nothing half done."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    import asyncio  # in truth when it is used, for it is a tenth of what `import chatstore` costs

P = ParamSpec("P")
T = TypeVar("T")


async def settled(future: "asyncio.Future[T]") -> T:
    """What the future results in; a cancellation meanwhile is delivered once it is done.

    Whoever cancels a write thus knows, when the cancellation arrives, that the write has either
    happened or never will.
    """
    import asyncio

    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError as error:
            if future.cancelled():
                raise
            cancelled = error
        except BaseException:
            if not future.done():
                raise  # the coroutine is thrown away
            break  # the future's own; told below unless the caller was cancelled
    if cancelled is not None:
        if not future.cancelled():
            future.exception()  # seen, so that asyncio does not report it as forgotten
        raise cancelled
    return future.result()


async def in_thread(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What the call returns in a worker thread; a cancellation waits for its end."""
    import asyncio

    return await settled(asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs)))
