"""A Redis Cluster of masters, with a replica each if asked for."""

from contextlib import ExitStack
from typing import Any, Self

from tests.servers.process import HOST, Server, free_port, wait_until
from tests.servers.redis_server import Aof, Flavour, RedisServer

SLOTS = 16_384


class RedisCluster(Server):
    """Some masters that share the slots, in `nodes`, and a replica of each in `replicas`."""

    def __init__(
        self,
        flavour: Flavour = "redis",
        *,
        size: int = 3,
        aof: Aof | None = None,
        replicated: bool = False,
    ) -> None:
        super().__init__()
        servers = [
            RedisServer(
                flavour,
                aof=aof,
                config={
                    "cluster-enabled": "yes",
                    "cluster-port": str(free_port()),
                    "cluster-node-timeout": "2000",
                    # Else a node that comes back waits two seconds before it answers.
                    "cluster-require-full-coverage": "no",
                },
            )
            for _ in range(2 * size if replicated else size)
        ]
        self.nodes, self.replicas = servers[:size], servers[size:]
        self._all = servers
        self._formed = False

    @property
    def url(self) -> str:
        """`redis+cluster://host:port,host:port,…`."""
        return "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    def start(self) -> Self:
        """Start the nodes and return when all of them say that the cluster is ok."""
        for node in self._all:
            node.start()
        if not self._formed:
            self._form()
            self._formed = True
        with ExitStack() as stack:
            clients = [stack.enter_context(node.client()) for node in self._all]

            def agreed() -> bool:
                states = [client.execute_command("CLUSTER INFO") for client in clients]
                return all(
                    state["cluster_state"] == "ok"
                    and int(state["cluster_known_nodes"]) == len(states)
                    for state in states
                )

            wait_until(agreed, "forming the cluster", 20)
            self._replicate()
        return self

    def stop(self) -> None:
        """Stop every node."""
        for node in self._all:
            node.stop()

    def close(self) -> None:
        """Stop every node and remove its data."""
        for node in self._all:
            node.close()
        super().close()

    def node_of(self, key: str) -> RedisServer:
        """The node that holds a Redis key."""
        with self.nodes[0].client() as client:
            slot = int(client.execute_command("CLUSTER KEYSLOT", key))
        return self.nodes[slot * len(self.nodes) // SLOTS]

    def flush(self) -> None:
        """Empty all nodes."""
        for node in self.nodes:
            with node.client() as client:
                client.flushall()

    def _form(self) -> None:
        bounds = [SLOTS * place // len(self.nodes) for place in range(len(self.nodes) + 1)]
        first = self.nodes[0]
        for place, node in enumerate(self._all):
            with node.client() as client:
                # Epochs that differ from the start: else the nodes settle that first, for seconds.
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", place + 1)
                if node in self.nodes:
                    slots = range(bounds[place], bounds[place + 1])
                    client.execute_command("CLUSTER ADDSLOTS", *slots)
                if node is not first:
                    bus = _bus_port(first)
                    client.execute_command("CLUSTER MEET", HOST, first.port, bus)

    def _replicate(self) -> None:
        for master, replica in zip(self.nodes, self.replicas):
            with master.client() as one, replica.client() as other:
                name = one.execute_command("CLUSTER MYID").decode()
                if other.execute_command("ROLE")[0] == b"master":
                    other.execute_command("CLUSTER REPLICATE", name)

                def in_step(one: Any = one) -> bool:
                    told = one.info("replication")
                    return bool(told["connected_slaves"] and told["slave0"]["state"] == "online")

                wait_until(in_step, "replicating", 20)


def _bus_port(node: RedisServer) -> int:
    with node.client() as client:
        return int(client.config_get("cluster-port")["cluster-port"])
