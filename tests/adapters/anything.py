"""Values that messages hold, for property tests."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

any_text = st.text(max_size=10) | st.sampled_from(["\0", "\ud800", "\u2028", "e\u0301", "😀"])
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
"""What JSON holds."""

moments = st.datetimes(datetime(1, 1, 2), timezones=st.sampled_from([None, UTC])).map(  # noqa: DTZ001
    lambda moment: moment.replace(fold=0)
)

kept_values: st.SearchStrategy[Any] = st.recursive(
    json_values | st.binary(max_size=8) | moments,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(names, inner, max_size=2)
        | st.tuples(inner, inner)
    ),
    max_leaves=6,
)
"""What our adapters keep equal besides."""
