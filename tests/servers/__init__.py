"""Real servers for the tests, started from wheels: Redis, Valkey, PostgreSQL, and a bad network.

Each server is a child of the process that starts it, on 127.0.0.1 and a port of its own, in a
temporary folder; it dies with that process, also when that is killed. Under pytest-xdist every
worker has its own, so that a test may flush, reconfigure or kill what it was given.

Fixtures are in `fixtures.py`; everything here can be used without pytest, too.
"""

from tests.servers.binaries import MissingServerError
from tests.servers.cluster import RedisCluster
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerError
from tests.servers.proxy import FlakyProxy
from tests.servers.redis_server import FLAVOURS, Flavour, RedisServer
from tests.servers.sentinel import RedisSentinel

__all__ = [
    "FLAVOURS",
    "FlakyProxy",
    "Flavour",
    "MissingServerError",
    "PostgresServer",
    "RedisCluster",
    "RedisSentinel",
    "RedisServer",
    "ServerError",
]
