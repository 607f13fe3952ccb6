"""A bad network between a client and a server."""

import random
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.servers.process import HOST

CHUNK = 65_536


class FlakyProxy:
    """Passes TCP on to `port` of `host`, and loses replies: at random, or when told.

    A lost reply is the hard case: the server has done the request, the client sees its connection
    end. The request is passed on, the first bytes of the reply are awaited and thrown away, and
    only then the connection is closed.

    Args:
        port: The server's.
        host: The server's.
        rate: How many of the requests lose their reply, 0 to 1.
        only: Requests without these bytes are never harmed (a handshake, for one).
        seed: For the same losses again.
        tls: Makes the client's side TLS: for servers that were built without.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = HOST,
        rate: float = 0.0,
        only: bytes = b"",
        seed: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.target = port
        self.host = host
        self.rate = rate
        self.only = only
        self.dropped = 0
        """How many replies were lost."""
        self.requests = 0
        """How many requests passed: what arrived in one piece counts as one."""
        self.trips = 0
        """How many round trips: how often a client asked something after it got an answer."""
        self._random = random.Random(seed)
        self._tls = tls
        self._pending = 0
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._thread.start()

    def drop_next(self, count: int = 1, *, only: bytes | None = None) -> None:
        """Lose the replies to the next `count` requests (of those that contain `only`)."""
        with self._lock:
            self._pending = count
            if only is not None:
                self.only = only

    def cut(self) -> None:
        """Close every connection now. New ones are welcome."""
        for link in list(self._links):
            link.close()

    def stall(self) -> None:
        """Pass nothing on, and close nothing: a client sees its timeout. Until `flow`."""
        self._open.clear()

    def flow(self) -> None:
        """End a `stall`."""
        self._open.set()

    def close(self) -> None:
        """Close all, and stop listening."""
        self._open.set()
        # Closing alone would leave the thread in accept().
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for link in list(self._links):
            link.close()
            link.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def doomed(self, request: bytes) -> bool:
        """Count a request; whether its reply is to be lost."""
        with self._lock:
            self.requests += 1
            if self.only not in request:
                return False
            if self._pending > 0:
                self._pending -= 1
                self.dropped += 1
                return True
            lost = self._random.random() < self.rate
            self.dropped += lost
            return lost

    def count_trip(self) -> None:
        """A client that had its answer asks again."""
        with self._lock:
            self.trips += 1

    def wait_open(self) -> None:
        """Return when nothing is stalled."""
        self._open.wait()

    def forget(self, link: "_Link") -> None:
        """A connection has ended."""
        self._links.discard(link)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._tls is not None:
                    client.settimeout(5)
                    client = self._tls.wrap_socket(client, server_side=True)
                    client.settimeout(None)
                server = socket.create_connection((self.host, self.target), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(self, client, server)
            self._links.add(link)
            link.start()


class _Link:
    """One connection through the proxy: two threads, a direction each."""

    def __init__(self, proxy: FlakyProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._doomed = threading.Event()
        self._answered = True
        self._ended = 0
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(way,), name="proxy link", daemon=True)
            for way in (self._requests, self._replies)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(5)

    def close(self) -> None:
        # Shut down, not closed: the threads may sit in recv, and a closed number is soon reused.
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _run(self, way: Callable[[], None]) -> None:
        try:
            with suppress(OSError):
                way()
        finally:
            self.close()
            with self._lock:
                self._ended += 1
                last = self._ended == len(self._threads)
            if last:
                self._client.close()
                self._server.close()
                self._proxy.forget(self)

    def _requests(self) -> None:
        while request := self._client.recv(CHUNK):
            self._proxy.wait_open()
            if self._answered:
                self._answered = False
                self._proxy.count_trip()
            if self._proxy.doomed(request):
                self._doomed.set()
            self._server.sendall(request)

    def _replies(self) -> None:
        while reply := self._server.recv(CHUNK):
            if self._doomed.is_set():
                return
            self._proxy.wait_open()
            # Before it is sent: the client may ask again at once.
            self._answered = True
            self._client.sendall(reply)
