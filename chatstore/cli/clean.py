"""What was stored is not what the terminal obeys: texts made harmless before they are shown.

A message may hold the sequences by which a terminal is told to write to the clipboard, to rename
its window or to show a link under a false name, and characters that turn the direction of the
line. They are shown as escapes.
"""

import re
import unicodedata

# Of the format characters (Cf), only those that join letters and emoji belong into a text.
_HARMLESS = frozenset("\u200c\u200d\u00ad")
_SUSPECT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_PASSWORD = re.compile(r"(?P<head>[A-Za-z][\w+.-]*://[^\s:/@]*):(?P<word>\S*)@")
_QUERY = re.compile(r"(?P<head>[?&](?:password|sslpassword|passwd|pwd)=)[^&\s'\"]*", re.IGNORECASE)


def clean(text: str, *, keep: str = "") -> str:
    """The text without anything that a terminal obeys; `keep` may hold newline and tab.

    Example:
        >>> clean("red " + chr(27) + "[31m") == "red " + chr(92) + "x1b[31m"
        True
    """
    return _SUSPECT.sub(lambda found: _show(found[0], keep), text)


def clean_lines(text: str) -> list[str]:
    """The lines of a text, each made harmless."""
    return [clean(line, keep="\t") for line in text.replace("\r\n", "\n").split("\n")]


def hide_passwords(text: str) -> str:
    """The text with `***` in the place of passwords in URLs.

    Example:
        >>> hide_passwords("redis://:secret@host:6379/0")
        'redis://:***@host:6379/0'
    """
    return _QUERY.sub(r"\g<head>***", _PASSWORD.sub(r"\g<head>:***@", text))


def one_line(text: str) -> str:
    """A text for the one line of an error: harmless, without passwords and line ends."""
    return clean(hide_passwords(" ".join(text.split("\n"))))


def _show(char: str, keep: str) -> str:
    if char in keep or char in _HARMLESS:
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """How many columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)
