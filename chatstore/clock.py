"""Times: told and stored in microseconds since 1970 UTC, shown as aware datetimes.

No order comes from them.
"""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now() -> int:
    """Now, in microseconds."""
    return time.time_ns() // 1000


def show(us: int) -> datetime:
    """The moment, as an aware datetime."""
    return _EPOCH + timedelta(microseconds=us)


def read(moment: datetime) -> int:
    """The moment, in microseconds."""
    return (moment - _EPOCH) // _MICROSECOND
