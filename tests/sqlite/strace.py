"""The system calls of a program, in the order in which they ended."""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import run_python

_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<args>.*)\) += (?P<result>-?\d+)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")


@dataclass(frozen=True)
class Call:
    """A system call, with its arguments as text and what it returned."""

    name: str
    args: list[str]
    result: int

    def data(self, place: int) -> bytes:
        """An argument that is a string, whole."""
        argument = self.args[place]
        assert (argument[0], argument[-1]) == ('"', '"'), "strace cut a string off"
        return bytes.fromhex(argument[1:-1].replace("\\x", ""))


def system_calls(arguments: Sequence[str | Path], names: Sequence[str], log: Path) -> list[Call]:
    """Run Python under strace, which writes to `log`. Without strace the test fails."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is missing, which counts and records system calls: install strace")
    trace = f"trace={','.join(names)}"
    # With a filter in the kernel the program stops at these calls only, not at every one.
    options: list[str | Path] = [strace, "-f", "--seccomp-bpf", "-xx", "-s", "1000000"]
    options += ["-e", trace, "-o", log]
    done = run_python(arguments, before=[*options, "--"])
    if done.returncode != 0:
        pytest.fail(f"strace could not trace the program, or it failed:\n{done.stderr[-2000:]}")
    with log.open() as lines:
        return list(_parse(lines))


def _parse(lines: Iterator[str]) -> Iterator[Call]:
    begun: dict[str, str] = {}
    for line in lines:
        match = _LINE.match(line)
        assert match is not None, line[:200]
        pid, rest = match["pid"], match["rest"]
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>").rstrip()
            continue
        if _RESUMED.match(rest):
            rest = begun.pop(pid) + _RESUMED.sub("", rest)
        call = _CALL.match(rest)
        if call is not None:
            yield Call(call["name"], call["args"].split(", "), int(call["result"]))
