"""A Redis or Valkey server."""

import platform
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from tests.servers.binaries import REDIS, REDIS_62, VALKEY, Program
from tests.servers.given import redis_client
from tests.servers.process import HOST, Process, Server, ServerError, free_port

if TYPE_CHECKING:
    from redis import Redis

Flavour = Literal["redis", "redis62", "valkey"]
# The flavours to run a test over: all of them, but the oldest only where it has a wheel. That asks
# for the machine and not for the wheel: one that should be there and is not fails the test.
FLAVOURS: tuple[Flavour, ...] = (
    ("redis", "redis62", "valkey")
    if sys.version_info < (3, 13) and (sys.platform, platform.machine()) == ("linux", "x86_64")
    else ("redis", "valkey")
)
Aof = Literal["always", "everysec", "no"]
PROGRAMS: dict[Flavour, Program] = {"redis": REDIS, "redis62": REDIS_62, "valkey": VALKEY}
PORT_TRIES = 5


class RedisServer(Server):
    """One server on 127.0.0.1, with an own folder for its data.

    Nothing is persisted unless `aof` is given, and nothing is evicted unless `maxmemory` is.

    Args:
        flavour: "redis" is 8.2, "redis62" the oldest promised, "valkey" is 9.1.
        aof: An append-only file, synced "always", "everysec" or "no".
        password: What `requirepass` wants.
        acl: Lines of `user …`, as in a configuration file.
        unix_socket: Whether it listens on a Unix socket, too (`unix_url`).
        replica_of: The master to follow.
        maxmemory: Such as "3mb".
        maxmemory_policy: Such as "allkeys-lru".
        config: Any other directive.
    """

    def __init__(
        self,
        flavour: Flavour = "redis",
        *,
        aof: Aof | None = None,
        password: str | None = None,
        acl: Sequence[str] = (),
        unix_socket: bool = False,
        replica_of: "RedisServer | None" = None,
        maxmemory: str | None = None,
        maxmemory_policy: str | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.flavour = flavour
        self.password = password
        self.port = free_port()
        self.socket_path = self.folder / "s" if unix_socket else None
        self._mode: tuple[str, ...] = ()
        self._process: Process | None = None
        self._lines = [
            f"bind {HOST}",
            f"dir {self.folder}",
            "save ''",
            "databases 64",
            # A replica is in step at once, and not after the five seconds others may join in.
            "repl-diskless-sync-delay 0",
            *_line("unixsocket", self.socket_path),
            *_line("requirepass", _quoted(password)),
            *_line("masterauth", _quoted(replica_of.password) if replica_of else None),
            *_line("replicaof", f"{HOST} {replica_of.port}" if replica_of else None),
            *_line("maxmemory", maxmemory),
            *_line("maxmemory-policy", maxmemory_policy),
            *_line("appendonly", "yes" if aof else None),
            *_line("appendfsync", aof),
            *(f"{name} {value}" for name, value in (config or {}).items()),
            *acl,
        ]

    @property
    def process(self) -> Process:
        """The running process.

        Raises:
            ServerError: it was not started.
        """
        if self._process is None:
            raise ServerError("start() it first")
        return self._process

    @property
    def url(self) -> str:
        """Where it is, as redis-py reads it: `redis://…/0`."""
        return self.url_of()

    @property
    def unix_url(self) -> str:
        """The same by its Unix socket."""
        if self.socket_path is None:
            raise ServerError("it was made without unix_socket=True")
        password = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"unix://{password}{self.socket_path}?db=0"

    def url_of(self, *, db: int = 0, port: int | None = None, user: str = "") -> str:
        """The URL of a database, through another port (a proxy's) if one is given."""
        password = f"{user}:{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{password}{HOST}:{port or self.port}/{db}"

    def client(self, **options: Any) -> "Redis":
        """A redis-py client that retries nothing. Close it."""
        return redis_client(self.url, **options)

    def start(self) -> Self:
        """Start it on its port; on another, if it never ran and somebody took that one."""
        fresh = self._process is None
        for attempt in range(PORT_TRIES):
            try:
                self._launch()
            except ServerError as error:
                taken = "already in use" in str(error)
                if not (fresh and taken) or attempt == PORT_TRIES - 1:
                    raise
                self.port = free_port()
            else:
                break
        return self

    def stop(self) -> None:
        """SHUTDOWN. Without `aof` its data are gone."""
        if self._process is not None:
            # A stopped process would not hear the signal.
            if self._process.running:
                self._process.resume()
            self._process.stop(signal.SIGTERM)

    def close(self) -> None:
        """Kill it, which may take a tenth of a second to stop, and remove its data."""
        if self._process is not None:
            self._process.kill9()
        super().close()

    def kill9(self) -> None:
        """SIGKILL: what a power cut is to everything but the disk."""
        self.process.kill9()

    def restart(self) -> None:
        """Stop it in order and start it on the same port and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """It accepts connections and answers none, until `resume`."""
        self.process.pause()

    def resume(self) -> None:
        """End a `pause`."""
        self.process.resume()

    def ready(self) -> bool:
        """Whether it answers a PING. Being asked for a password is an answer; loading is none."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))
        except OSError:
            return False

    def _launch(self) -> None:
        # A file, because a command line's password can be read by everybody on the machine.
        config = self.folder / "redis.conf"
        config.touch(0o600)
        config.write_text("\n".join([f"port {self.port}", *self._lines]) + "\n", "utf-8")
        program = PROGRAMS[self.flavour].find()
        self._process = Process([program, config, *self._mode], folder=self.folder)
        self._process.wait_ready(self.ready, f"start of {self.flavour} on port {self.port}")


def _line(name: str, value: str | Path | None) -> list[str]:
    return [] if value is None else [f"{name} {value}"]


def _quoted(text: str | None) -> str | None:
    return None if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
