"""What is tried again when it has failed, by the driver and by the store itself."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import AuthenticationError, ReadOnlyError
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import TimeoutError as Late

from chatstore.redis.address import Kind

RETRIES = 8
FAIL_OVER = 8.0
"""For how many seconds calls wait for Sentinel to name a new master."""

_RETRIED = (Unreachable, Late, ReadOnlyError)  # the last: a master that has just been demoted


def retry(driver: Any, kind: Kind, *, awaited: bool) -> Any:
    """A driver's `Retry`: what it tries again, and how often."""
    # Behind Sentinel the driver would try the address that failed again and again, and would find
    # the master of before there once it is back: the store itself tries again, and asks anew.
    retries = 0 if kind == "sentinel" else RETRIES
    backoff = ExponentialWithJitterBackoff(base=0.01, cap=0.5)
    patient = _awaiting(driver) if awaited else _blocking(driver)
    return patient(backoff, retries, supported_errors=_RETRIED)


def _blocking(driver: Any) -> Any:
    class Patient(driver):  # type: ignore[misc]
        def call_with_retry(self, do: Any, *args: Any, **options: Any) -> Any:
            def once() -> Any:
                with _refusing():
                    return do()

            with _refused():
                return super().call_with_retry(once, *args, **options)

    return Patient


def _awaiting(driver: Any) -> Any:
    class Patient(driver):  # type: ignore[misc]
        async def call_with_retry(self, do: Any, *args: Any, **options: Any) -> Any:
            async def once() -> Any:
                with _refusing():
                    return await do()

            with _refused():
                return await super().call_with_retry(once, *args, **options)

    return Patient


class _RefusedError(Exception):
    def __init__(self, error: AuthenticationError) -> None:
        self.error = error


@contextmanager
def _refusing() -> Iterator[None]:
    """Hides from the driver that a password was refused: to it, that is a connection error."""
    try:
        yield
    except AuthenticationError as error:
        raise _RefusedError(error) from None


@contextmanager
def _refused() -> Iterator[None]:
    """Shows it again."""
    try:
        yield
    except _RefusedError as refused:
        raise refused.error from None


class Patience:
    """How long a call is tried again, where the driver does not do it."""

    def __init__(self, kind: Kind | None) -> None:
        self._until = monotonic() + FAIL_OVER if kind == "sentinel" else 0.0
        self._pause = 0.01

    def pause(self, error: Exception) -> float:
        """The seconds until the next try; 0 if there is none."""
        if not isinstance(error, _RETRIED) or monotonic() > self._until:
            return 0.0
        self._pause = min(2 * self._pause, 0.5)
        return random.uniform(self._pause / 2, self._pause)  # noqa: S311
