"""Forks among threads that write to stores in memory: the child finds them whole, and goes on."""

import os
import signal
import sys
import threading
import warnings

import pytest

from chatstore import ChatMessage, SimpleChatStore
from tests.processes import in_process

TURN = [ChatMessage("a"), ChatMessage("b", role="assistant")]


def _in_child(stores: list[SimpleChatStore]) -> None:
    signal.alarm(10)  # a child that hangs ends
    for store in (*stores, SimpleChatStore()):
        before = store.count_messages("k")
        assert before % len(TURN) == 0
        store.add_messages("k", TURN)
        assert store.count_messages("k") == before + len(TURN)
        assert store.get_messages("k", last=2) == TURN


def _fork(stores: list[SimpleChatStore], number: int) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _in_child(stores)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"child {number}: {status}"


def _forks() -> None:
    """Runs in a process of its own."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking among threads
    stores = [SimpleChatStore(), SimpleChatStore()]
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for store in stores:
                store.add_messages("k", TURN)
                if store.count_messages("k") > 1000:
                    store.delete_messages("k")
            SimpleChatStore().get_keys()

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(25):
            _fork(stores, number)
        # Two that fork at once must not wait for each other.
        forkers = [threading.Thread(target=_fork, args=(stores, number)) for number in range(4)]
        for thread in forkers:
            thread.start()
        for thread in forkers:
            thread.join(30)
            assert not thread.is_alive()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="os.fork")
def test_forks_among_writing_threads() -> None:
    in_process(_forks)
