"""A master, its replicas, and the sentinels that watch them."""

from typing import Self

from tests.servers.process import HOST, Server, wait_until
from tests.servers.redis_server import Aof, Flavour, RedisServer

SERVICE = "mymaster"


class _Watcher(RedisServer):
    """A sentinel: the same program in another mode. It rewrites its configuration itself."""

    def __init__(self, flavour: Flavour, master: RedisServer, quorum: int) -> None:
        super().__init__(flavour)
        self._mode = ("--sentinel",)
        self._lines = [
            f"bind {HOST}",
            f"dir {self.folder}",
            f"sentinel monitor {SERVICE} {HOST} {master.port} {quorum}",
            f"sentinel down-after-milliseconds {SERVICE} 400",
            f"sentinel failover-timeout {SERVICE} 2000",
        ]


class RedisSentinel(Server):
    """A fail-over group: `master`, `replicas`, `sentinels`, all of them Redis servers."""

    def __init__(
        self,
        flavour: Flavour = "redis",
        *,
        replicas: int = 1,
        sentinels: int = 1,
        aof: Aof | None = None,
    ) -> None:
        super().__init__()
        self.flavour = flavour
        # They are made before they start, so that their ports are known.
        self._first = RedisServer(flavour, aof=aof)
        self.replicas = [
            RedisServer(flavour, aof=aof, replica_of=self._first) for _ in range(replicas)
        ]
        self.sentinels: list[RedisServer] = [
            _Watcher(flavour, self._first, quorum=sentinels // 2 + 1) for _ in range(sentinels)
        ]

    @property
    def url(self) -> str:
        """`redis+sentinel://host:port,…/service/0`."""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    @property
    def members(self) -> list[RedisServer]:
        """All servers that hold data."""
        return [self._first, *self.replicas]

    @property
    def master(self) -> RedisServer:
        """Who is master now, as the first sentinel says, when a fail-over is over."""
        # GET-MASTER-ADDR-BY-NAME names the new one earlier than clients that ask as redis-py does.
        port = int(_master_state(self.sentinels[0])["port"])
        return next(server for server in self.members if server.port == port)

    def start(self) -> Self:
        """Start all and return when the replicas are in step and the sentinels know everybody."""
        for server in [*self.members, *self.sentinels]:
            server.start()
        wait_until(self.in_step, "replicas in step", 15)
        wait_until(self._acquainted, "sentinels acquainted", 30)
        return self

    def stop(self) -> None:
        """Stop all, the sentinels first: they would see a fail-over."""
        for server in [*self.sentinels, *self.members]:
            server.stop()

    def close(self) -> None:
        """Stop all and remove their data."""
        for server in [*self.sentinels, *self.members]:
            server.close()
        super().close()

    def in_step(self) -> bool:
        """Whether every replica is connected to the first master."""
        with self._first.client() as client:
            found = client.info("replication")
        replicas = [found.get(f"slave{place}", {}) for place in range(len(self.replicas))]
        return all(replica.get("state") == "online" for replica in replicas)

    def kill_master(self) -> RedisServer:
        """Kill -9 the master; returns it, dead."""
        dead = self.master
        dead.kill9()
        return dead

    def wait_failover(self, old: RedisServer, timeout: float = 20) -> RedisServer:
        """Wait until another server is master, and takes writes; returns it."""

        def promoted() -> bool:
            now = self.master
            if now is old:
                return False
            with now.client() as client:
                return bool(client.info("replication")["role"] == "master")

        wait_until(promoted, "fail-over", timeout)
        return self.master

    def _acquainted(self) -> bool:
        states = [_master_state(sentinel) for sentinel in self.sentinels]
        return all(
            int(state["num-slaves"]) >= len(self.replicas)
            and int(state["num-other-sentinels"]) >= len(self.sentinels) - 1
            for state in states
        )


def _master_state(sentinel: RedisServer) -> dict[str, str]:
    """What a sentinel knows of the master, in any version of redis-py and of the protocol."""
    with sentinel.client(decode_responses=True) as client:
        answer = client.execute_command("SENTINEL", "MASTER", SERVICE)
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2]))
