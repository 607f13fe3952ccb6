"""The process that the demo kills: appends for ever, and says so after each append.

`python -m chatstore.cli.demo_writer URL NAMESPACE KEY` writes a line to stdout for each message
that the store has acknowledged, and for no other.
"""

import itertools
import os
import sys

from chatstore import ChatMessage, open_store


def text_of(number: int) -> str:
    """The text of the message of that number."""
    return f"append {number}"


def run(url: str, namespace: str, key: str) -> None:
    """Append until killed."""
    with open_store(url, namespace=namespace) as store:
        for number in itertools.count(1):
            store.add_message(key, ChatMessage(text_of(number), role="assistant"))
            try:
                os.write(1, b"%d\n" % number)  # one write, so that no line is ever torn
            except BrokenPipeError:  # the demo itself was interrupted
                return


if __name__ == "__main__":
    run(*sys.argv[1:])
