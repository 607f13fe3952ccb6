"""Between the keys of callers and the names of Redis keys, one to one."""

import re
from urllib.parse import quote, unquote_to_bytes

_SAFE = ":/@+,;=!$&'()~"  # beside letters, digits and _.-; nothing of it means anything to SCAN
_SAFE_NAMESPACE = "~"  # no colon: it ends the namespace


class Names:
    """The names under which one store keeps its conversations.

    A conversation is `prefix:namespace:{key}`, its key percent-encoded where it is not plain. The
    braces are Redis Cluster's hash tag, and as no brace is left inside, a key cannot break out of
    it. Whatever else belongs to a conversation has the same tag, and so the same slot.

    Args:
        prefix: What all names begin with.
        namespace: Tells stores with the same prefix apart.

    Raises:
        ValueError: The prefix is empty, or holds braces or NUL.

    Example:
        >>> names = Names("chatstore", "")
        >>> names.conversation("user 1")
        'chatstore::{user%201}'
        >>> names.key_of('chatstore::{user%201}')
        'user 1'
    """

    def __init__(self, prefix: str, namespace: str) -> None:
        if not re.fullmatch(r"[ -z|~]+", prefix):
            raise ValueError(
                "prefix is a str of printable ASCII characters without braces, such as 'chatstore'"
            )
        self.prefix = f"{prefix}:{quote(namespace, safe=_SAFE_NAMESPACE)}:"
        self._open = self.prefix + "{"

    def conversation(self, key: str) -> str:
        """Where the messages of a conversation are."""
        # Most keys need no encoding, and `quote` takes as long as a Lua script.
        if key.isascii() and key.isalnum():
            return f"{self._open}{key}}}"
        return f"{self._open}{quote(key, safe=_SAFE)}}}"

    def key_of(self, name: str) -> str | None:
        """The key of a conversation's name; `None` if it is not one of ours."""
        if not (name.isascii() and name.startswith(self._open) and name.endswith("}")):
            return None
        try:
            key = unquote_to_bytes(name[len(self._open) : -1]).decode()
        except UnicodeDecodeError:
            return None
        return key if key and self.conversation(key) == name else None

    def alone(self, name: str) -> str | None:
        """The key of a state's name, where there are no messages; `None` if it is not one."""
        whole = name.removesuffix(":state")
        return None if whole == name else self.key_of(whole)

    def pattern(self, prefix: str = "", behind: str = "") -> str:
        """What SCAN matches to find the conversations whose keys begin with `prefix`.

        With `behind`, the names of what belongs to them, which end with it.
        """
        begin = self._open + quote(prefix, safe=_SAFE)
        return re.sub(r"([\\*?\[\]^-])", r"\\\1", begin) + "*}" + behind


def recent(name: str) -> str:
    """Where the last results of the writers of a conversation are kept, for repeated calls."""
    return f"{name}:recent"


def beside(name: str) -> str:
    """Where the state of a conversation is while that has no messages. The scripts have it, too."""
    return f"{name}:state"


def staging(name: str, token: str) -> str:
    """Where a conversation is built before it takes its place."""
    return f"{name}:new:{token}"
