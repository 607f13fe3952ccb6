"""What stands for something stays itself."""

import copy
import pickle

from chatstore import ABSENT
from chatstore.arguments import check_expected


def test_absent_is_itself_when_it_was_copied_or_sent_to_another_process() -> None:
    sent = pickle.loads(pickle.dumps(ABSENT))  # noqa: S301 - our own
    for again in (copy.copy(ABSENT), copy.deepcopy(ABSENT), sent):
        assert check_expected(again) is ABSENT
