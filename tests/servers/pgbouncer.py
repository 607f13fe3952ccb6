"""pgbouncer, in transaction mode, before a PostgreSQL server.

No wheel ships it: Debian and most others have it as the package `pgbouncer`.
"""

import os
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from tests.servers.binaries import MissingServerError
from tests.servers.given import PostgresHost
from tests.servers.postgres import _account
from tests.servers.process import HOST, Process, Server, free_port

PROGRAM = "CHATSTORE_TEST_PGBOUNCER"

SETTINGS = {
    "listen_addr": HOST,
    "unix_socket_dir": "",
    "auth_type": "plain",
    "pool_mode": "transaction",
    "max_client_conn": "500",
    "log_connections": "0",
    "log_disconnections": "0",
}


class PgBouncer(PostgresHost, Server):
    """A pooler that gives its clients `sessions` sessions of the server, for a transaction each.

    `settings` are pgbouncer's own, all else being at its default, as users have it. `users` are
    those that it lets in beside the server's own, with their passwords.
    """

    def __init__(
        self,
        postgres: PostgresHost,
        *,
        sessions: int = 3,
        users: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.port = free_port()
        self._behind = urlsplit(postgres.url)
        self._settings = {**SETTINGS, "default_pool_size": str(sessions), **(settings or {})}
        self._users = users or {}
        self._account = _account()
        self._process: Process | None = None

    def url_of(self, database: str) -> str:
        """The URL of a database, through the pooler."""
        login = self._behind.netloc.rpartition("@")[0]
        return f"postgresql://{login}@{HOST}:{self.port}/{database}"

    def start(self) -> Self:
        """Start it and return when it answers."""
        behind = self._behind
        host, port = behind.hostname or HOST, behind.port or 5432
        name, password = unquote(behind.username or ""), unquote(behind.password or "")
        users, config = self.folder / "users", self.folder / "pgbouncer.ini"
        for file in (users, config):
            file.touch(0o600)
        known = {name: password, **self._users}
        users.write_text("".join(f'"{user}" "{secret}"\n' for user, secret in known.items()))
        settings = self._settings | {"listen_port": str(self.port), "auth_file": str(users)}
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        config.write_text(f"[databases]\n* = host={host} port={port}\n[pgbouncer]\n{lines}")
        if self._account is not None:
            # It refuses root.
            for path in (self.folder, users, config):
                os.chown(path, *self._account)
        command = [find(), config]
        self._process = Process(command, folder=self.folder, account=self._account)
        self._process.wait_ready(self._ready, f"start of pgbouncer on port {self.port}")
        return self

    def stop(self) -> None:
        """End it. Clients are cut."""
        if self._process is not None:
            self._process.stop()

    def _ready(self) -> bool:
        import psycopg

        try:
            with self.connect(connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


@cache
def find() -> Path:
    """The program: `CHATSTORE_TEST_PGBOUNCER`, or on PATH, or where Debian puts it.

    Raises:
        MissingServerError: it is in none of these places.
    """
    found = os.environ.get(PROGRAM) or shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    if not Path(found).exists():
        raise MissingServerError(
            "these tests need pgbouncer: apt-get install pgbouncer, or the like elsewhere, or name "
            f"the program in {PROGRAM}"
        )
    return Path(found)
