"""From a URL to a redis-py client, blocking or not, for one server, a Cluster or Sentinel."""

import random
import re
from time import monotonic
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from redis.backoff import ExponentialWithJitterBackoff
from redis.connection import ConnectionPool, SSLConnection, parse_url
from redis.exceptions import AuthenticationError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import TimeoutError as Late

Kind = Literal["server", "cluster", "sentinel"]

_SCHEMES: dict[str, tuple[str, Kind]] = {
    "redis": ("redis", "server"),
    "rediss": ("rediss", "server"),
    "valkey": ("redis", "server"),
    "valkeys": ("rediss", "server"),
    "unix": ("unix", "server"),
    "redis+cluster": ("redis", "cluster"),
    "rediss+cluster": ("rediss", "cluster"),
    "valkey+cluster": ("redis", "cluster"),
    "valkeys+cluster": ("rediss", "cluster"),
    "redis+sentinel": ("redis", "sentinel"),
    "rediss+sentinel": ("rediss", "sentinel"),
    "valkey+sentinel": ("redis", "sentinel"),
    "valkeys+sentinel": ("rediss", "sentinel"),
}
DEFAULT_PORT = {"server": 6379, "cluster": 6379, "sentinel": 26379}
RETRIES = 8
FAIL_OVER = 8.0
"""For how many seconds calls wait for Sentinel to name a new master."""

_RETRIED = (Unreachable, Late, ReadOnlyError)  # the last: a master that has just been demoted


class Address(NamedTuple):
    """Where a store is: what a URL says.

    Attributes:
        kind: What is there.
        hosts: Its servers, or those that know them.
        service: What Sentinel calls the master.
        options: Arguments of a client, the password among them.
        where: What may be shown.
    """

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any]
    where: str

    def __repr__(self) -> str:
        return f"Address({self.where!r})"


def read(url: str) -> Address:
    """What a URL says.

    Raises:
        ValueError: It is no URL of a Redis server; the text quotes nothing of it but its scheme.
    """
    scheme, _, rest = url.partition("://")
    found = _SCHEMES.get(scheme.lower())
    if found is None:
        raise ValueError(
            f"no Redis store is opened by {scheme[:20]}://; use redis://, rediss://, unix://, "
            "valkey://, redis+cluster:// or redis+sentinel://"
        )
    plain, kind = found
    try:
        address = _read_server(plain, rest) if kind == "server" else _read_many(plain, kind, rest)
    except ValueError:
        example = {
            "server": "redis://:password@host:6379/0",
            "cluster": "redis+cluster://:password@host:6379,host:6380",
            "sentinel": "redis+sentinel://:password@host:26379,host:26380/service/0",
        }[kind]
        # What the parsers say may quote a password.
        raise ValueError(
            f"the {scheme}:// URL cannot be read; it looks like {example}, with the password "
            "percent-encoded"
        ) from None
    if kind != "cluster":  # its options are those of a client
        _check_options(address.options)
    return address


def _check_options(options: dict[str, Any]) -> None:
    """Refuse what the driver refuses with a TypeError when it first connects."""
    kinds: dict[str, Any] = {"connection_class": SSLConnection} if "ssl" in options else {}
    rest = {name: value for name, value in options.items() if name != "ssl"}
    try:
        ConnectionPool(**kinds, **rest).make_connection()  # which connects nowhere yet
    except (TypeError, AttributeError, RedisError) as error:
        raise _unknown(error) from None


def _unknown(error: Exception) -> ValueError:
    name = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    which = f": {name[1]}" if name else ""
    return ValueError(f"the URL has an option that redis-py does not take{which}")


def _read_server(plain: str, rest: str) -> Address:
    options: dict[str, Any]
    options = parse_url(f"{plain}://{rest}")  # type: ignore[no-untyped-call]
    if plain == "unix":
        if not options.get("path"):
            raise ValueError
        return Address("server", (), "", options, f"unix://{options['path']}")
    path = urlsplit(f"{plain}://{rest}").path.strip("/")
    if path and not path.isdecimal():
        raise ValueError
    host, port = options.setdefault("host", "localhost"), options.setdefault("port", 6379)
    where = f"{plain}://{_shown(host, port)}/{options.get('db', 0)}"
    return Address("server", ((host, port),), "", options, where)


def _read_many(plain: str, kind: Kind, rest: str) -> Address:
    netloc, slash, tail = rest.partition("/")
    if not slash:
        netloc, _, query = rest.partition("?")
        path = ""
    else:
        path, _, query = tail.partition("?")
    login, _, hosts_text = netloc.rpartition("@")
    hosts = tuple(_host(text, DEFAULT_PORT[kind]) for text in hosts_text.split(","))
    # The driver's own reader knows the types of its options.
    options: dict[str, Any]
    options = parse_url(f"{plain}://{login}@localhost/?{query}")  # type: ignore[no-untyped-call]
    options.pop("host", None)
    if options.pop("connection_class", None) is not None:
        options["ssl"] = True
    service = ""
    if kind == "sentinel":
        service, _, db = path.strip("/").partition("/")
        service = unquote(service)
        if not service or (db and not db.isdecimal()):
            raise ValueError
        options.setdefault("db", int(db or 0))
    elif path.strip("/") not in ("", "0"):
        raise ValueError  # a Cluster has one database
    shown = ",".join(_shown(*host) for host in hosts)
    if service:
        shown += f"/{service}/{options['db']}"
    return Address(kind, hosts, service, options, f"{plain}+{kind}://{shown}")


def _host(text: str, default: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path:
        raise ValueError
    return parts.hostname, parts.port or default


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def client(address: Address, *, awaited: bool) -> Any:
    """A client for an address; it connects when it is first used, but a Cluster's does at once."""
    library: Any
    if awaited:
        import redis.asyncio as library
        from redis.asyncio.cluster import ClusterNode
        from redis.asyncio.retry import Retry
        from redis.asyncio.sentinel import Sentinel
    else:
        import redis as library
        from redis.cluster import ClusterNode  # type: ignore[assignment]
        from redis.retry import Retry  # type: ignore[assignment]
        from redis.sentinel import Sentinel  # type: ignore[assignment]
    options: dict[str, Any] = {
        "socket_timeout": 5.0,
        "socket_connect_timeout": 5.0,
        **address.options,
    }
    if awaited and "connection_class" in options:  # the driver has each of them twice
        from redis.asyncio import connection

        options["connection_class"] = getattr(connection, options["connection_class"].__name__)
    if "path" not in options:
        options.setdefault("socket_keepalive", True)
    if address.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        # Slots that nobody serves are an error of the calls that need them, and of no others.
        try:
            return library.RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)
        except TypeError as error:
            raise _unknown(error) from None
    backoff = ExponentialWithJitterBackoff(base=0.01, cap=0.5)
    # Behind Sentinel the driver would try the address that failed again and again, and would find
    # the master of before there once it is back: the store itself tries again, and asks anew.
    retries = 0 if address.kind == "sentinel" else RETRIES
    options["retry"] = _patient(Retry, awaited=awaited)(backoff, retries, supported_errors=_RETRIED)
    if address.kind == "sentinel":
        login = {name: options[name] for name in ("ssl",) if name in options}
        watchers = Sentinel(  # type: ignore[no-untyped-call]
            address.hosts, sentinel_kwargs={"socket_timeout": 1.0, **login}, **options
        )
        return watchers.master_for(address.service)
    return library.Redis.from_pool(library.ConnectionPool(**options))


def _patient(retry: Any, *, awaited: bool) -> Any:
    """A driver's `Retry` that does not try a password again: to it, that is a connection error."""

    class Blocking(retry):  # type: ignore[misc]
        def call_with_retry(self, do: Any, *args: Any, **options: Any) -> Any:
            def once() -> Any:
                try:
                    return do()
                except AuthenticationError as error:
                    raise _RefusedError(error) from None

            try:
                return super().call_with_retry(once, *args, **options)
            except _RefusedError as refused:
                raise refused.error from None

    class Awaiting(retry):  # type: ignore[misc]
        async def call_with_retry(self, do: Any, *args: Any, **options: Any) -> Any:
            async def once() -> Any:
                try:
                    return await do()
                except AuthenticationError as error:
                    raise _RefusedError(error) from None

            try:
                return await super().call_with_retry(once, *args, **options)
            except _RefusedError as refused:
                raise refused.error from None

    return Awaiting if awaited else Blocking


class _RefusedError(Exception):
    def __init__(self, error: AuthenticationError) -> None:
        self.error = error


class Patience:
    """How long a call is tried again, where the driver does not do it."""

    def __init__(self, kind: Kind | None) -> None:
        self._until = monotonic() + FAIL_OVER if kind == "sentinel" else 0.0
        self._pause = 0.01

    def pause(self, error: Exception) -> float:
        """The seconds until the next try; 0 if there is none."""
        if not isinstance(error, _RETRIED) or monotonic() > self._until:
            return 0.0
        self._pause = min(2 * self._pause, 0.5)
        return random.uniform(self._pause / 2, self._pause)  # noqa: S311


def parts(client: Any) -> list[Any]:
    """What must be closed with a client: itself, and those that it asks for the master."""
    pool = getattr(client, "connection_pool", None)
    manager = getattr(pool, "sentinel_manager", None)
    return [client, *getattr(manager, "sentinels", ())]
