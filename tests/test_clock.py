"""Times come out of their microseconds exactly, the quick way and the other."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstore import clock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


@given(st.integers(FIRST, LAST) | st.integers(0, clock._EXACT + 1000))
def test_a_moment_is_shown_to_the_microsecond(us: int) -> None:
    shown = clock.show(us)
    assert shown == EPOCH + timedelta(microseconds=us)
    assert shown.tzinfo is UTC
    assert clock.read(shown) == us


@pytest.mark.parametrize("base", [0, 1_700_000_000 * 10**6, clock._EXACT - 5000, clock._EXACT])
def test_no_neighbour_is_missed(base: int) -> None:
    for us in range(base, base + 10_000):
        assert clock.show(us) == EPOCH + timedelta(microseconds=us)


def test_no_year_is_without_a_sample() -> None:
    for us in range(0, clock._EXACT, 977_777_777_777):
        assert clock.show(us) == EPOCH + timedelta(microseconds=us)


@pytest.mark.parametrize("us", [FIRST - 1, LAST + 1])
def test_what_no_calendar_has_is_an_error(us: int) -> None:
    with pytest.raises(OverflowError):
        clock.show(us)
