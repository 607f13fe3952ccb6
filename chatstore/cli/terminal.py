"""What the user sees: rich tables and bars on a terminal, plain lines anywhere else.

Everything that was stored passes through `clean` on its way out; JSON is ASCII, so that it needs
no cleaning. Results go to stdout, progress and remarks to stderr.
"""

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from chatstore.cli.clean import clean, width

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

Align = Literal["left", "right"]
Style = Literal["", "bold", "dim", "green", "yellow", "red", "cyan"]
Update = Callable[[int, int | None], None]

ROLE_STYLES: dict[str, Style] = {"user": "green", "assistant": "cyan", "system": "yellow"}


class Terminal:
    """Writes the output of one command.

    Args:
        json: Whether JSON was asked for; then nothing else goes to stdout.
    """

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self._out = _console(sys.stdout)
        self._err = _console(sys.stderr)

    @property
    def is_rich(self) -> bool:
        """Whether stdout is a terminal that rich writes to."""
        return self._out is not None

    def data(self, value: Any) -> None:
        """Write a value as a line of JSON."""
        self.json_line(as_json(value))

    def json_line(self, text: str) -> None:
        """Write what is JSON already."""
        sys.stdout.write(text + "\n")

    def line(self, text: str = "", style: Style = "") -> None:
        """Write a line of text, which is made harmless."""
        self.parts((text, style))

    def parts(self, *parts: tuple[str, Style]) -> None:
        """Write a line made of parts, each in its style."""
        if self._out is None:
            text = "".join(clean(text, keep="\t") for text, _ in parts)
            sys.stdout.write(text.rstrip() + "\n")
            return
        from rich.text import Text

        styled = Text()
        for text, style in parts:
            styled.append(clean(text, keep="\t"), style=style)
        self._out.print(styled, soft_wrap=True)

    def block(self, text: str, margin: int, style: Style = "") -> None:
        """Write a text behind a margin, folded on a terminal so that no part of it leaves it."""
        text = clean(text, keep="\t")
        if self._out is not None:
            from rich.padding import Padding
            from rich.text import Text

            folded = Text(text.expandtabs(4), style=style, overflow="fold")
            self._out.print(Padding(folded, (0, 0, 0, margin), expand=False))
            return
        room = shutil.get_terminal_size().columns - margin if sys.stdout.isatty() else 0
        for line in fold(text.expandtabs(4), room) if room > 0 else [text]:
            sys.stdout.write((" " * margin + line).rstrip() + "\n")

    def note(self, text: str) -> None:
        """Write a remark to stderr."""
        sys.stdout.flush()
        if self._err is None:
            sys.stderr.write(clean(text) + "\n")
            return
        from rich.text import Text

        self._err.print(Text(clean(text), style="dim"), soft_wrap=True)

    def table(
        self, columns: Sequence[tuple[str, Align]], rows: Sequence[Sequence[str]], indent: int = 0
    ) -> None:
        """Write a table; columns that are empty in every row are left out."""
        cells = [[clean(cell) for cell in row] for row in rows]
        shown = [n for n in range(len(columns)) if any(row[n] for row in cells)]
        if not shown:
            return
        if self._out is None:
            rest = [[row[n] for n in shown] for row in cells]
            self._plain_table([columns[n] for n in shown], rest, " " * indent)
            return
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for n in shown:
            name, align = columns[n]
            # Keys and numbers are for copying: they are folded if need be, never cut.
            table.add_column(Text(name), justify=align, overflow="fold")
        for row in cells:
            table.add_row(*(Text(row[n]) for n in shown))
        self._out.print(Padding(table, (0, 0, 0, indent)))

    @contextlib.contextmanager
    def progress(self, label: str, unit: str = "messages") -> Iterator[Update]:
        """A bar on stderr while something long goes on; nothing where stderr is no terminal."""
        if self._err is not None:
            with self._rich_progress(label, unit) as update:
                yield update
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            with _plain_progress(label, unit) as update:
                yield update
        else:
            yield _nothing

    @contextlib.contextmanager
    def _rich_progress(self, label: str, unit: str) -> Iterator[Update]:
        from rich import progress

        bar: Bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=30),
            progress.TextColumn("{task.fields[done]}", markup=False),
            progress.TimeElapsedColumn(),
            console=self._err,
            transient=True,
        )
        with bar:
            task = bar.add_task(clean(label), total=None, done="")

            def update(done: int, total: int | None) -> None:
                of = f" of {number(total)}" if total else ""
                bar.update(
                    task, completed=done, total=total, done=f"{number(done)}{of} {unit}".strip()
                )

            yield update

    def _plain_table(
        self, columns: Sequence[tuple[str, Align]], rows: Sequence[Sequence[str]], margin: str
    ) -> None:
        lines = [[name for name, _ in columns], *rows]
        widths = [max(width(line[n]) for line in lines) for n in range(len(columns))]
        for line in lines:
            parts = []
            for cell, (_, align), size in zip(line, columns, widths):
                gap = " " * (size - width(cell))
                parts.append(gap + cell if align == "right" else cell + gap)
            sys.stdout.write((margin + "  ".join(parts)).rstrip() + "\n")


def as_json(value: Any) -> str:
    """A value as JSON in one line of ASCII."""
    return json.dumps(value, default=_json_time)


def fold(text: str, room: int) -> list[str]:
    """The text in lines of at most `room` columns.

    Example:
        >>> fold("abcde", 2)
        ['ab', 'cd', 'e']
    """
    lines, line, taken = [], "", 0
    for char in text:
        wide = width(char)
        if taken + wide > room and line:
            lines.append(line)
            line, taken = "", 0
        line += char
        taken += wide
    return [*lines, line]


def number(value: int) -> str:
    """A number as people read it: 258 145."""
    return f"{value:,}".replace(",", " ")


def plural(count: int, word: str) -> str:
    """A number of things: 1 message, 2 messages."""
    return f"{number(count)} {word}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """A number of bytes as people read it."""
    value = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def moment(value: datetime | None) -> str:
    """A time in UTC, to the second."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _console(file: Any) -> "Console | None":
    """A rich console, if rich is installed and the file is a terminal that obeys."""
    if not file.isatty() or os.environ.get("TERM") == "dumb":
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(
        file=file, markup=False, emoji=False, highlight=False, no_color=_colourless() or None
    )


def _colourless() -> bool:
    return bool(os.environ.get("NO_COLOR"))


@contextlib.contextmanager
def _plain_progress(label: str, unit: str) -> Iterator[Update]:
    shown = 0.0
    drawn = 0

    def update(done: int, total: int | None) -> None:
        nonlocal shown, drawn
        now = time.monotonic()
        if now - shown < 0.1 and done != total:
            return
        shown = now
        of = f" of {number(total)}" if total else ""
        text = f"{clean(label)}: {number(done)}{of} {unit}"
        sys.stderr.write("\r" + text.ljust(drawn))
        sys.stderr.flush()
        drawn = len(text)

    try:
        yield update
    finally:
        sys.stderr.write("\r" + " " * drawn + "\r")
        sys.stderr.flush()


def _nothing(done: int, total: int | None) -> None:
    """Nobody looks."""


def _json_time(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON")
