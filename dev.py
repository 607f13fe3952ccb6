#!/usr/bin/env python3
"""One command for each thing that is done with this checkout.

    python3 dev.py demo [options]         see it work on real conversations
    python3 dev.py test [pytest options]  everything that must pass: ruff, mypy, pytest
    python3 dev.py torture [options]      the long tests
    python3 dev.py bench [options]        the benchmarks

It needs Python 3.11 or newer with pip, or uv, and nothing else. What it installs goes into
.venv-dev beside it, and stays there until pyproject.toml or the Python changes.
"""

# This file is read by whatever Python happens to be `python3`, and has to tell an old one so:
# therefore no syntax that is younger than 3.6, and nothing from outside the standard library.

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENV = ROOT / ".venv-dev"
STAMP = ENV / "installed.json"
BIN = ENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
OLDEST = (3, 11)
IN_MEMORY = "/dev/shm"  # noqa: S108 - those who write there take names that nobody has
ROOM = 2 << 30  # bytes
REAL_CONVERSATIONS = "chitchat-dataset==0.9.0"


def main(words: "list[str]") -> int:
    """Do what the command line says; returns the exit code."""
    if sys.version_info < OLDEST:
        return too_old()
    commands = {"demo": demo, "test": test, "torture": torture, "bench": bench}
    if not words or words[0] not in commands:
        asked_for_help = bool(words) and words[0] in ("help", "-h", "--help")
        print(__doc__.strip(), file=sys.stdout if asked_for_help else sys.stderr)
        return 0 if asked_for_help else 2
    try:
        return commands[words[0]](words[1:])
    except KeyboardInterrupt:
        return 130
    except InstallError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 1


def demo(options: "list[str]") -> int:
    """Run `chatstore demo` on real conversations."""
    install(editable("rich"), REAL_CONVERSATIONS)
    return run([BIN / "chatstore", "demo", *options])


def test(options: "list[str]") -> int:
    """Run all checks, also after one has failed."""
    install(editable("test"))
    # Python may have been told to keep no bytecode. Thousands of times over, that costs too much.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if "TMPDIR" not in os.environ and has_room(IN_MEMORY):
        # A tenth quicker. No test of these cuts the power; on the disk is where torture runs.
        os.environ["TMPDIR"] = IN_MEMORY
    checks = {
        "ruff check": ["ruff", "check"],
        "ruff format": ["ruff", "format", "--check"],
        # One worker more than there are cores: tests wait for disks and servers, too.
        "pytest": ["pytest", "-n", str(cores() + 1), "--dist", "worksteal", *options],
    }
    failed = []
    # It takes a minute the first time, of one core: beside the tests, it takes what they leave.
    with Aside([PYTHON, "-m", "mypy"]) as types:
        for name, command in checks.items():
            print(f"== {name}", flush=True)
            if run([PYTHON, "-m", *command]) != 0:
                failed.append(name)
        print("== mypy", flush=True)
        if types.end() != 0:
            failed.append("mypy")
    if failed:
        print("dev.py: failed: {}".format(", ".join(failed)), file=sys.stderr)
    return 1 if failed else 0


def torture(options: "list[str]") -> int:
    """Run the tests that are marked `torture`."""
    install(editable("test"))
    return run([PYTHON, "-m", "pytest", "-m", "torture", *options])


def bench(options: "list[str]") -> int:
    """Run the benchmarks."""
    install(editable("bench"))
    return run([PYTHON, "-m", "benchmarks", *options])


class InstallError(Exception):
    """What is needed could not be installed."""


def editable(extra: str) -> str:
    """How pip names this checkout with an extra."""
    return f"-e{ROOT}[{extra}]"


def install(*requirements: str) -> None:
    """Make the environment hold these, and do nothing if it does already."""
    source = (ROOT / "pyproject.toml").read_bytes()
    basis = {"python": sys.version, "pyproject": hashlib.sha256(source).hexdigest()}
    have = read_stamp(basis)
    missing = [requirement for requirement in requirements if requirement not in have]
    if not missing:
        return
    if not have:
        print(f"dev.py: making {ENV.name}, once", file=sys.stderr, flush=True)
        create()
    fill(missing)
    stamp = dict(basis, requirements=sorted({*have, *missing}))
    STAMP.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")


def read_stamp(basis: "dict[str, str]") -> "list[str]":
    """The requirements that were installed on this basis; none if it has changed."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        requirements = [str(requirement) for requirement in stamp.pop("requirements")]
    except (OSError, ValueError, KeyError):
        return []
    return requirements if stamp == basis and PYTHON.exists() else []


def create() -> None:
    """Make the environment anew, without pip: a bare Debian's Python can not put pip into one."""
    if ENV.exists():
        shutil.rmtree(str(ENV))
    if run([sys.executable, "-m", "venv", "--without-pip", ENV]) != 0:
        raise InstallError("this Python has no venv module. Debian: apt install python3-venv")


def fill(requirements: "list[str]") -> None:
    """Install with the first installer that can."""
    for command in installers():
        if run([*command, *requirements]) == 0:
            return
        print(f"dev.py: {Path(str(command[0])).name} failed", file=sys.stderr)
    raise InstallError(
        "could not install {}. It needs pip (Debian: apt install python3-pip) or uv, and a "
        "package index that answers".format(" ".join(requirements))
    )


def installers() -> "list[list[str | Path]]":
    """The commands that install into the environment, the quickest first."""
    found = []  # type: list[list[str | Path]]
    uv = shutil.which("uv")
    if uv:
        found.append([uv, "pip", "install", "--quiet", "--python", PYTHON])
    if quiet([sys.executable, "-m", "pip", "--version"]):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        found.append([*pip, "--python", PYTHON, "install", "--quiet"])
    elif quiet([PYTHON, "-m", "ensurepip"]):
        found.append([PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"])
    return found


def run(command: "list[str | Path]") -> int:
    """Run a program in the checkout; returns its exit code."""
    return subprocess.call([str(word) for word in command], cwd=str(ROOT))


class Aside:
    """A program that runs beside others, after them in turn, and is heard when it has ended."""

    def __init__(self, command: "list[str | Path]") -> None:
        nice = shutil.which("nice")
        words = [str(word) for word in command]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [nice, "-n", "19", *words] if nice else words,
            cwd=str(ROOT),
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )
        if hasattr(os, "SCHED_IDLE"):
            # Linux sees the core of a merely nice program as taken, and makes the others queue for
            # the other cores.
            with contextlib.suppress(OSError):
                os.sched_setscheduler(self._process.pid, os.SCHED_IDLE, os.sched_param(0))

    def end(self) -> int:
        """Wait for it and print what it said; returns its exit code."""
        code = self._process.wait()
        self._said.seek(0)
        print(self._said.read().decode("utf-8", "replace"), end="", flush=True)
        return code

    def __enter__(self) -> "Aside":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._said.close()


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_room(folder: str) -> bool:
    """Whether tests can write all of theirs there, and run it. In a container it may be small."""
    try:
        there = os.statvfs(folder)
    except (AttributeError, OSError):
        return False
    fits = there.f_bavail * there.f_frsize >= ROOM
    return fits and os.access(folder, os.W_OK) and not there.f_flag & os.ST_NOEXEC


def quiet(command: "list[str | Path]") -> bool:
    """Whether a program ends well, whatever it prints."""
    words = [str(word) for word in command]
    nowhere = subprocess.DEVNULL
    return subprocess.call(words, cwd=str(ROOT), stdout=nowhere, stderr=nowhere) == 0


def too_old() -> int:
    """Say so, and name a Python that would do, if there is one."""
    newer = [f"python3.{minor}" for minor in range(20, OLDEST[1] - 1, -1)]
    found = [name for name in newer if shutil.which(name)]
    remedy = f"run: {found[0]} dev.py" if found else "install one, or use uv"
    wanted, this = (".".join(map(str, version[:2])) for version in (OLDEST, sys.version_info))
    print(
        f"dev.py: chatstore needs Python {wanted} or newer; this is {this} "
        f"({sys.executable}); {remedy}",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
