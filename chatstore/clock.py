"""Times: told and stored in microseconds since 1970 UTC, shown as aware datetimes.

No order comes from them.
"""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXACT = 10**6 << 32
"""Below (the year 2106), seconds as a float miss a moment by less than a quarter of a microsecond,
so that rounding finds it: at half of what adding to the epoch costs."""
_shown = datetime.fromtimestamp


def now() -> int:
    """Now, in microseconds."""
    return time.time_ns() // 1000


def show(us: int) -> datetime:
    """The moment, as an aware datetime."""
    if 0 <= us < _EXACT:
        return _shown(us / 1_000_000, UTC)
    return _EPOCH + timedelta(microseconds=us)


def nearest(us: object) -> int:
    """What is stored as a time, or, where that is none, the nearest one that the calendar has.

    For what damage has changed, so that it hides nothing beside it: what is no number is 1970.
    """
    return min(max(us, FIRST), LAST) if isinstance(us, int) else 0


def read(moment: datetime) -> int:
    """The moment, in microseconds."""
    return (moment - _EPOCH) // _MICROSECOND


FIRST = read(datetime.min.replace(tzinfo=UTC))
LAST = read(datetime.max.replace(tzinfo=UTC))
"""The first and the last moment of the calendar."""
