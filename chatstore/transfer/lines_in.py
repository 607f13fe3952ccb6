"""Reading the shape `.jsonl`: first all of it for what is cut off or changed, then its messages."""

import hashlib
from collections.abc import Iterator
from typing import Any, Never

from chatstore.codec import same_content
from chatstore.errors import DuplicateMessageError, TransferError
from chatstore.records import Conversation, Draft
from chatstore.transfer import lines, message_in, state, strict
from chatstore.transfer.message_in import MemberError
from chatstore.transfer.origin import Origin
from chatstore.transfer.stream import VERSION, Progress, Stream

_PAYLOAD = ',"payload":{'
_HEADER = frozenset(("format", "version", "snapshot", "exported_at", "source"))
_FOOTER = frozenset(("end", "conversations", "messages", "sha256"))
_STATES = "states"
_AGAIN = "get a whole copy, or export again"


class LineFile:
    """A file of this shape: `check` it as a whole, then take its `stream`."""

    def __init__(self, origin: Origin, progress: Progress | None) -> None:
        self._origin = origin
        self._progress = progress
        self._line = 0
        self._conversations = 0
        self._states = 0
        self._sha256 = ""
        self.messages = 0
        """How many messages the footer tells of."""

    def check(self) -> None:
        """Read all of it once, without a look at the messages.

        That is quick beside the import, and finds what happens to files, which is that they are
        cut short or damaged, before a store is locked and others wait for it. It also tells how
        many messages are to come.

        Raises:
            TransferError: The file is not whole.
        """
        digest = hashlib.sha256(lines.FIXED)
        blocks = self._blocks()
        last = self._behind_header(next(blocks, b""))
        count = 0
        for block in blocks:
            digest.update(last)
            count += last.count(b"\n")
            last = block
        self._line = count + 2
        self._read_footer(last)
        if count != self._conversations + self.messages + self._states:
            self._explain(f"the footer counts other lines than the {count} before it")
        if digest.hexdigest() != self._sha256:
            self._explain("the digest does not fit: the file was changed or damaged")

    def stream(self) -> Stream:
        """The conversations, from the beginning each time.

        What `check` found is looked at once more, for the file may have been changed since.
        """
        digest = hashlib.sha256(lines.FIXED)
        items = self._items(digest)
        ahead = next(items, None)
        conversations = states = done = 0

        def messages() -> Iterator[Draft]:
            nonlocal ahead, done
            ahead = None
            for item in items:
                if type(item) is not Draft:
                    ahead = item
                    return
                yield item
                done += 1
                if self._progress is not None and not done % lines.EVERY:
                    self._progress(done, self.messages)

        while isinstance(ahead, Conversation):
            before = done
            drafts = messages()
            yield ahead, drafts
            for _ in drafts:  # what the store left unread
                pass
            if done > before:
                conversations += 1
            else:
                states += 1
        told = (self._conversations, self._states, self.messages, self._sha256)
        if (conversations, states, done, digest.hexdigest()) != told:
            raise self._fault(f"the footer tells of another content; {_AGAIN}")

    def clash(self, error: DuplicateMessageError) -> tuple[int, str]:
        """The line of the message whose id another one has, and what is wrong with it."""
        key, at, first = "", 0, None
        for item in self._items(hashlib.sha256()):
            if isinstance(item, Conversation):
                key = item.key
            elif key == error.key and item.id == error.id:
                draft = item
                if first is not None and not same_content(draft, first.format, first.payload):
                    return self._line, str(error)
                if first is None:
                    at, first = self._line, draft
        return at, str(error)

    def _explain(self, reason: str) -> Never:
        """Raise for the first line that cannot be read, or else for the reason."""
        for _ in self._items(hashlib.sha256()):
            pass
        raise self._fault(f"{reason}; {_AGAIN}")

    def _items(self, digest: Any) -> Iterator[Conversation | Draft]:
        """The lines between header and footer, each conversation with a message or a state."""
        blocks = self._blocks()
        last = self._behind_header(next(blocks, b""))
        self._line = 1
        key = ""
        fresh: Conversation | None = None  # the line before, if it was one
        try:
            for block in blocks:
                digest.update(last)
                for line in self._text(last).split("\n")[:-1]:
                    self._line += 1
                    found = message_in.match_line(line)
                    item = message_in.plain_draft(*found.groups()) if found else _parse(line)
                    if isinstance(item, Conversation):
                        if fresh is not None:
                            state.check_alone(fresh)
                        if item.key <= key:
                            raise MemberError(
                                "the key of the conversation is there already, or comes too late: "
                                "they are sorted by code point"
                            )
                        key, fresh = item.key, item
                    elif not key:
                        raise MemberError("a message comes before the first conversation")
                    else:
                        fresh = None
                    yield item
                last = block
            self._line += 1
            if fresh is not None:
                state.check_alone(fresh)
        except (MemberError, strict.NotStrictError) as error:
            raise self._fault(str(error)) from None

    def _blocks(self) -> Iterator[bytes]:
        """Blocks of whole lines; the last one is the last line alone."""
        held = bytearray()
        line = 1
        for block in self._origin.blocks(unpack=True):
            seen = max(0, len(held) - 1)  # a newline at the very end is that of the last line
            held += block
            cut = held.rfind(b"\n", seen, len(held) - 1) + 1
            if cut:
                data = bytes(memoryview(held)[:cut])
                del held[:cut]
                line += data.count(b"\n")
                yield data
            if len(held) > lines.MAX_LINE:
                raise self._origin.error(line, f"it takes more than {lines.MAX_LINE} bytes")
        if held:
            yield bytes(held)

    def _text(self, block: bytes) -> str:
        try:
            return block.decode()
        except UnicodeDecodeError as error:
            self._line += block.count(b"\n", 0, error.start) + 1
            raise MemberError("it is not UTF-8") from None

    def _behind_header(self, block: bytes) -> bytes:
        """Look at the header; what stands behind it in its block."""
        self._line = 1
        if not block:
            raise self._origin.error(None, f"the file is empty; {_AGAIN}")
        line, _, rest = block.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
        header = _object(line)
        if header.get("format") != "chatstore":
            raise self._fault(
                "this is no header of a chatstore export; is it another kind of file?"
            )
        check_version(self._origin, self._line, header.get("version"))
        if (
            header.keys() != _HEADER
            or type(header["snapshot"]) is not bool
            or not isinstance(header["exported_at"], str)
            or not isinstance(header["source"], str)
        ):
            raise self._fault(f"the header is not whole; {_AGAIN}")
        return rest

    def _read_footer(self, line: bytes) -> None:
        footer = _object(line)
        if footer.get("end") is not True:
            raise self._fault(f"the file ends here without its footer: it was cut short; {_AGAIN}")
        names = ("conversations", "messages", _STATES)
        counts = [footer.get(name, 0) for name in names]
        if (
            footer.keys() - {_STATES} != _FOOTER
            or not all(type(count) is int and count >= 0 for count in counts)
            or not isinstance(footer["sha256"], str)
        ):
            raise self._fault(f"the footer is not whole; {_AGAIN}")
        self._conversations, self.messages, self._states = counts
        self._sha256 = footer["sha256"]

    def _fault(self, reason: str) -> TransferError:
        return self._origin.error(self._line, reason)


def check_version(origin: Origin, line: int | None, version: Any) -> None:
    """Raise unless this version of the library reads files of that version."""
    if type(version) is not int or version < 1:
        raise origin.error(line, "the header tells no version")
    if version > VERSION:
        raise origin.error(
            line,
            f"the file is of version {version}, and this library reads up to {VERSION}; "
            "upgrade chatstore-sql",
        )


def _parse(line: str) -> Conversation | Draft:
    """A line that is not plain.

    Raises:
        NotStrictError: It is not JSON.
        MemberError: It is neither a message nor a conversation.
    """
    # In our own lines the payload is the last member, and is taken as the text that it is. The
    # quote behind the comma is no part of a string (it would have a backslash), so that this finds
    # a member's name, if not always the right one: then one of the two halves is not JSON.
    place = line.find(_PAYLOAD)
    if place > 0 and line[-1] == "}":
        try:
            members = strict.load(line[:place] + "}")
            text = line[place + len(_PAYLOAD) - 1 : -1]
            strict.load_canonical(text)
            if "payload" not in members:
                return message_in.draft(members, text)
        except strict.NotStrictError:
            pass
    members = strict.load(line)
    if not isinstance(members, dict):
        raise MemberError("it is no object")
    if "conversation" in members:
        return state.conversation(members.pop("conversation"), members)
    return message_in.draft(members)


def _object(line: bytes) -> dict[str, Any]:
    """The object of a line; an empty one if it is none."""
    try:
        found = strict.load(line.decode())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
