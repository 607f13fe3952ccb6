"""Becomes a server that dies with whoever started it.

    python -I -S launch.py PARENT SIGNAL UID GID PROGRAM ARGUMENT...

A program of its own, and not a `preexec_fn`, because that is not safe in a process with threads.
UID and GID are -1, or the account to become first. It runs without site-packages: the standard
library only.
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1


def die_with(parent: int, number: int) -> None:
    """Arrange that this process, and what it becomes, gets a signal when `parent` is gone."""
    if sys.platform == "linux":
        # Only now, after the account is changed: changing it clears the setting.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            sys.exit("the process that started this one is gone")
    else:
        watch(parent, number)


def watch(parent: int, number: int) -> None:
    """The same where the kernel offers nothing: a process aside looks twice a second."""
    server = os.getpid()
    if (child := os.fork()) != 0:
        os.waitpid(child, 0)
        return
    if os.fork() != 0:
        # Twice, so that the watcher is no child of the server, which would wonder at it.
        os._exit(0)
    os.setsid()
    while True:
        time.sleep(0.5)
        try:
            os.kill(server, 0)
        except OSError:
            os._exit(0)
        try:
            os.kill(parent, 0)
        except OSError:
            os.kill(server, number)
            os._exit(0)


def main() -> None:
    parent, number, uid, gid = (int(word) for word in sys.argv[1:5])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # A terminal's Ctrl-C is for pytest, which then stops its servers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent, number)
    os.execv(sys.argv[5], sys.argv[5:])


if __name__ == "__main__":
    main()
