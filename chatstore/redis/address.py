"""What the URL of a Redis server says."""

import re
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from redis.connection import ConnectionPool, SSLConnection, parse_url
from redis.exceptions import RedisError

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
    if kind != "cluster" and "?" in rest:  # a Cluster's are those of a client
        _check_options(address.options)
    return address


def _check_options(options: dict[str, Any]) -> None:
    """Refuse what the driver refuses with a TypeError when it first connects.

    That takes a millisecond, in which the driver reads its own version from a file.
    """
    kinds: dict[str, Any] = {"connection_class": SSLConnection} if "ssl" in options else {}
    rest = {name: value for name, value in options.items() if name != "ssl"}
    try:
        ConnectionPool(**kinds, **rest).make_connection()  # which connects nowhere yet
    except (TypeError, AttributeError, RedisError) as error:
        raise unknown_option(error) from None


def unknown_option(error: Exception) -> ValueError:
    """For what the driver says of an option that it does not know."""
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
