"""Each server is real: it starts, answers, dies when told, and dies with us."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import (
    FLAVOURS,
    FlakyProxy,
    Flavour,
    MissingServerError,
    PostgresServer,
    RedisCluster,
    RedisSentinel,
    RedisServer,
    ServerError,
    tls,
)
from tests.servers.binaries import Program
from tests.servers.fixtures import Running
from tests.servers.given import GivenPostgres, GivenRedis, redis_client
from tests.servers.postgres import LINGERS
from tests.servers.process import wait_until

ROOT = Path(__file__).parents[2]
VERSIONS: dict[Flavour, tuple[str, str]] = {
    "redis": ("redis_version", "8."),
    "redis62": ("redis_version", "6.2."),
    "valkey": ("valkey_version", "9."),
}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_server_is_the_one_it_says(running: Running, flavour: Flavour) -> None:
    name, version = VERSIONS[flavour]
    server = running(RedisServer(flavour))
    with server.client() as client:
        assert client.info()[name].startswith(version)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_kill_9_with_an_append_only_file_keeps_what_was_written(
    running: Running, flavour: Flavour
) -> None:
    server = running(RedisServer(flavour, aof="always"))
    with server.client() as client:
        client.set("name", "value")
    server.kill9()
    with pytest.raises(redis.ConnectionError), server.client() as client:
        client.ping()
    server.start()
    with server.client() as client:
        assert client.get("name") == b"value"


def test_kill_9_without_one_loses_it(running: Running) -> None:
    server = running(RedisServer())
    with server.client() as client:
        client.set("name", "value")
    server.kill9()
    server.start()
    with server.client() as client:
        assert client.get("name") is None


def test_a_restart_keeps_the_port_and_the_data(running: Running) -> None:
    server = running(RedisServer(aof="everysec"))
    with server.client() as client:
        client.set("name", "value")
    before = server.url
    server.restart()
    assert server.url == before
    with server.client() as client:
        assert client.get("name") == b"value"


def test_a_paused_server_times_out_and_comes_back(running: Running) -> None:
    server = running(RedisServer())
    server.pause()
    with pytest.raises(redis.TimeoutError), server.client(socket_timeout=0.1) as client:
        client.ping()
    server.resume()
    with server.client() as client:
        assert client.ping()


def test_a_password_is_wanted_on_tcp_and_on_the_unix_socket(running: Running) -> None:
    server = running(RedisServer(password='a b/c@"#', unix_socket=True))
    stranger = f"redis://127.0.0.1:{server.port}"
    with pytest.raises(redis.AuthenticationError), redis_client(stranger) as client:
        client.ping()
    for url in (server.url, server.unix_url):
        with redis.Redis.from_url(url) as client:
            assert client.ping()


def test_an_acl_forbids(running: Running) -> None:
    server = running(RedisServer(acl=["user reader on >secret ~* +get +ping"]))
    with redis.Redis(port=server.port, username="reader", password="secret") as client:
        assert client.get("name") is None
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.set("name", "value")


def test_a_full_server_refuses(running: Running) -> None:
    server = running(RedisServer(maxmemory="2mb", maxmemory_policy="noeviction"))
    with server.client() as client:
        writes = (client.set(str(number), "x" * 100_000) for number in range(100))
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            all(writes)


def test_tls_through_a_proxy(running: Running, tmp_path: Path) -> None:
    certificate, key = tls.self_signed(tmp_path)
    server = running(RedisServer())
    proxy = running(FlakyProxy(server.port, tls=tls.server_context(certificate, key)))
    url = f"rediss://127.0.0.1:{proxy.port}/0"
    with redis.Redis.from_url(url, ssl_ca_certs=str(certificate)) as client:
        assert client.ping()
    with pytest.raises(redis.ConnectionError), redis_client(url) as stranger:
        stranger.ping()


def test_a_cluster_serves_every_slot(redis_cluster: RedisCluster) -> None:
    first = redis_cluster.nodes[0]
    with redis.RedisCluster(host="127.0.0.1", port=first.port) as client:
        for number in range(100):
            client.set(f"key {number}", number)
    for node in redis_cluster.nodes:
        with node.client() as client:
            assert client.dbsize() > 10
    with redis_cluster.node_of("key 7").client() as client:
        assert client.get("key 7") == b"7"
    redis_cluster.flush()


def test_sentinel_fails_over_and_keeps_the_data(running: Running) -> None:
    group = running(RedisSentinel())
    addresses = [("127.0.0.1", sentinel.port) for sentinel in group.sentinels]
    sentinel: Any = redis.Sentinel(addresses)  # type: ignore[no-untyped-call]
    with sentinel.master_for("mymaster") as client:
        client.set("name", "value")
        assert client.wait(1, 2000) == 1
        old = group.kill_master()
        new = group.wait_failover(old)
        assert new is not old
        assert client.get("name") == b"value"
    for link in sentinel.sentinels:
        link.close()


def test_a_proxy_drops_the_reply_and_not_the_request(running: Running) -> None:
    server = running(RedisServer())
    proxy = running(FlakyProxy(server.port))
    proxy.drop_next(2, only=b"RPUSH")
    # As redis-py does by default from 6.0: it repeats what it got no answer to, appends included.
    # That is the trap into which our stores must not fall.
    retry = Retry(NoBackoff(), 3)
    with redis.Redis(
        port=proxy.port, retry=retry, retry_on_error=[redis.ConnectionError]
    ) as client:
        for _ in range(10):
            client.rpush("list", "item")
    with server.client() as client:
        assert client.llen("list") == 12
    assert proxy.dropped == 2


def test_a_proxy_drops_at_random_and_the_same_again() -> None:
    def losses(seed: int) -> list[bool]:
        with FlakyProxy(1, rate=0.3, seed=seed) as proxy:
            return [proxy.doomed(b"request") for _ in range(200)]

    assert losses(1) == losses(1) != losses(2)
    assert 30 < sum(losses(1)) < 90


def test_a_proxy_stalls(running: Running) -> None:
    server = running(RedisServer())
    proxy = running(FlakyProxy(server.port))
    url = server.url_of(port=proxy.port)
    with redis_client(url, socket_timeout=0.2) as client:
        proxy.stall()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        proxy.flow()
        assert client.ping()


def test_a_proxy_cuts(running: Running) -> None:
    server = running(RedisServer())
    proxy = running(FlakyProxy(server.port))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        proxy.cut()
        assert connection.recv(100) == b""
    with redis_client(server.url_of(port=proxy.port)) as client:
        assert client.ping()


def test_postgres_accepts_a_connection(
    postgres_server: PostgresServer | GivenPostgres, postgres_url: str
) -> None:
    with postgres_server.connect(postgres_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_postgres_database_is_empty_again(
    postgres_server: PostgresServer | GivenPostgres, postgres_url: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    with postgres_server.connect(postgres_url) as connection:
        connection.execute("CREATE SCHEMA own")
        connection.execute("CREATE TABLE own.here (id int)")
        connection.execute("CREATE TABLE here (id int)")
        postgres_server.empty_database(name)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with postgres_server.connect(postgres_url) as connection:
        found = connection.execute("SELECT to_regclass('own.here'), to_regclass('here')")
        assert found.fetchone() == (None, None)


def test_postgres_databases_are_apart(
    postgres_server: PostgresServer | GivenPostgres, postgres_url: str, postgres_database: str
) -> None:
    with postgres_server.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE here (id int)")
    with (
        postgres_server.connect(postgres_database) as connection,
        pytest.raises(psycopg.errors.UndefinedTable),
    ):
        connection.execute("SELECT * FROM here")


def test_postgres_survives_kill_9_and_wants_its_password(running: Running) -> None:
    server = running(PostgresServer())
    with server.connect() as connection:
        connection.execute("CREATE TABLE kept (id int)")
    server.kill9()
    with pytest.raises(psycopg.OperationalError), server.connect():
        pass
    server.start()
    with server.connect() as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    wrong = server.url.replace(server.password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password"), server.connect(wrong):
        pass


def test_postgres_starts_when_the_last_child_of_a_killed_one_is_gone(running: Running) -> None:
    server = running(PostgresServer())
    with server.connect() as connection:
        child = connection.info.backend_pid
        os.kill(child, signal.SIGSTOP)
        server.kill9()
        threading.Timer(0.5, os.kill, (child, signal.SIGCONT)).start()
        server.start()
    assert LINGERS in server.process.log.read_text("utf-8")
    with server.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("made", ["RedisServer()", "PostgresServer()"])
def test_a_server_dies_with_the_process_that_started_it(made: str) -> None:
    program = f"""
import time
from tests.servers import PostgresServer, RedisServer
server = {made}.start()
print(server.process.pid, server.folder, flush=True)
time.sleep(60)
"""
    pid, folder = killed(program)
    wait_until(lambda: gone(int(pid)), "the server's end", 5)
    # The next server that is made sweeps up.
    with RedisServer():
        assert not Path(folder).exists()


def test_it_dies_where_the_kernel_does_not_see_to_it() -> None:
    launch = f"""
import os, runpy, sys
sys.argv = ["", str(os.getppid()), "9", "-1", "-1", "/bin/sleep", "60"]
sys.platform = "not Linux"
runpy.run_path({str(ROOT / "tests/servers/launch.py")!r}, run_name="__main__")
"""
    program = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {launch!r}], stdout=subprocess.DEVNULL)
time.sleep(0.3)
print(child.pid, flush=True)
time.sleep(60)
"""
    (pid,) = killed(program)
    wait_until(lambda: gone(int(pid)), "the server's end", 5)


def test_a_missing_server_is_an_error_that_names_the_extra() -> None:
    with pytest.raises(MissingServerError, match=r"no-such-wheel.*\.\[test\]"):
        Program("no-such-wheel", "no_such_package", "bin/server").find()


def test_a_server_that_can_not_start_says_why() -> None:
    with (
        pytest.raises(ServerError, match="no-such-directive"),
        RedisServer(config={"no-such-directive": "1"}),
    ):
        pass


def test_a_given_redis_is_claimed_only_when_it_is_empty(running: Running) -> None:
    server = running(RedisServer())
    given = GivenRedis(server.url_of(db=5))
    assert given.claim().url.startswith(server.url_of(db=5)[:-1])
    with given.client() as client:
        client.set("precious", "data")
    with pytest.raises(ServerError, match="not empty"):
        given.claim()


def test_a_given_postgres_gives_databases(
    postgres_server: PostgresServer | GivenPostgres,
) -> None:
    given = GivenPostgres(postgres_server.url.replace("postgresql://", "postgresql+psycopg://"))
    name = given.new_database()
    with given.connect(given.url_of(name)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (name,)
    given.drop_database(name)


def killed(program: str) -> list[str]:
    """Run a program until it prints a line, and kill -9 it; returns the words of the line."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert not gone(int(words[0]))
        process.kill()
    return words


def gone(pid: int) -> bool:
    """Whether it ended; one that nobody has waited for yet has ended, too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"
