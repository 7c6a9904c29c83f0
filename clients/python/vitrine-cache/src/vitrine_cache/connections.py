"""Connections that are kept and used again, by any number of threads."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import SplitResult

from .errors import BrokenAnswer, ConnectionFailed, TimedOut

# Below the server's --idle-timeout (60 s by default), so that the server is seldom the first to close.
_MAX_IDLE_SECONDS = 30.0
_PIECE_BYTES = 1024 * 1024


class NotSent(ConnectionFailed):
    """There was no connection: the server has not seen the request."""


class _BodyFailed(Exception):
    """The error with which the source of a body failed, kept apart from those of the connection."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextlib.contextmanager
def as_connection_failed(what: str) -> Iterator[None]:
    """Raises the errors of sockets and of HTTP as those of this package."""
    try:
        yield
    except TimeoutError as error:
        raise TimedOut(f"{what}: the server is silent") from error
    except http.client.IncompleteRead as error:
        raise BrokenAnswer(f"{what}: the answer ends early") from error
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionFailed(f"{what}: {error!r}") from error


class Answer:
    """An answer whose body is read. `finish` or `close` it in any case; headers have names in lower case."""

    def __init__(
        self,
        pool: Pool,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        *,
        is_sent: bool,
    ) -> None:
        self._pool = pool
        self._connection: http.client.HTTPConnection | None = connection
        self._response = response
        self._is_sent = is_sent
        self._process = os.getpid()
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.getheaders()}

    def readinto(self, buffer: memoryview) -> int:
        """Fills the beginning of `buffer`, and returns by how many bytes; 0 at the end of the body."""
        with as_connection_failed("read answer"):
            return self._response.readinto(buffer)

    def read(self, limit: int | None = None) -> bytes:
        """The rest of the body, or its next `limit` bytes."""
        with as_connection_failed("read answer"):
            return self._response.read(limit)

    def finish(self) -> None:
        """Keeps the connection for others if the whole body has been read; closes it otherwise."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # Of a request that was not sent whole, the server may take the next one for the rest.
        if self._is_sent and self._response.isclosed() and not self._response.will_close:
            self._pool.keep(connection, self._process)
        else:
            self._response.close()
            connection.close()

    def close(self) -> None:
        """Closes the connection; does nothing after `finish`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._response.close()
            connection.close()


class Pool:
    """Connections to one server. `most` is the number of idle ones that are kept."""

    def __init__(self, url: SplitResult, *, timeout: float, most: int, context: ssl.SSLContext | None) -> None:
        self.origin = f"{url.scheme}://{url.netloc}"
        self._host = url.hostname or ""
        self._port = url.port
        self._context = (context or ssl.create_default_context()) if url.scheme == "https" else None
        self.timeout = timeout
        self._most = most
        self._lock = threading.Lock()
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        _pools.add(self)

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str | bytes],
        body: Iterable[bytes | memoryview] | None = None,
    ) -> Answer:
        """
        Sends a request and returns its answer. `headers` say how long the body is, or `Transfer-Encoding: chunked`.
        Raises NotSent, ConnectionFailed, TimedOut, and what `body` raises.
        """
        connection = self._take()
        if connection is None:
            connection = self._new()
        try:
            with as_connection_failed(f"{method} {path}"):
                is_sent = _send(connection, method, path, headers, body)
                return Answer(self, connection, connection.getresponse(), is_sent=is_sent)
        except _BodyFailed as failed:
            connection.close()
            raise failed.error from None
        except BaseException:
            connection.close()
            raise

    def keep(self, connection: http.client.HTTPConnection, process: int) -> None:
        """Takes back a connection over which nothing is on its way, if this is the process that took it."""
        with self._lock:
            if len(self._idle) < self._most and process == os.getpid():
                self._idle.append((connection, time.monotonic()))
                return
        connection.close()

    def close(self) -> None:
        """Closes the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def forked(self) -> None:
        """In a new process: two processes on one connection would read each other's answers."""
        self._lock = threading.Lock()
        self.close()

    def _take(self) -> http.client.HTTPConnection | None:
        """The connection that was used last, if there is one that the server has not closed."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            # What an idle connection has to read is its end, or an answer to nothing.
            if time.monotonic() - since < _MAX_IDLE_SECONDS and not _is_readable(connection.sock):
                return connection
            connection.close()

    def _new(self) -> http.client.HTTPConnection:
        if self._context is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self.timeout, context=self._context
            )
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise NotSent(f"connect to {self._host}:{connection.port}: {error!r}") from error
        return connection


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _forked() -> None:
    for pool in list(_pools):
        pool.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str | bytes],
    body: Iterable[bytes | memoryview] | None,
) -> bool:
    """Sends a request; False if the server answered before all of the body was sent."""
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    if body is None:
        return True
    is_chunked = "Transfer-Encoding" in headers
    is_plain = not isinstance(connection.sock, ssl.SSLSocket)
    try:
        for piece in _pieces(body):
            # An answer before the end of the body is a refusal: the rest need not be sent. TLS has messages of its own,
            # which say nothing of this.
            if is_plain and _is_readable(connection.sock):
                return False
            if is_chunked:
                connection.send(f"{len(piece):X}\r\n".encode())
            connection.send(piece)
            if is_chunked:
                connection.send(b"\r\n")
        if is_chunked:
            connection.send(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        # A server that refuses may close before the end of the body; then its answer is here.
        if not _is_readable(connection.sock):
            raise
        return False
    return True


def _pieces(body: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    """The body in pieces of at most `_PIECE_BYTES`, none of them empty."""
    parts = iter(body)
    while True:
        try:
            part = next(parts)
        except StopIteration:
            return
        except Exception as error:
            raise _BodyFailed(error) from error
        view = memoryview(part).cast("B")
        for at in range(0, len(view), _PIECE_BYTES):
            yield view[at : at + _PIECE_BYTES]


def _is_readable(sock: socket.socket | None) -> bool:
    if sock is None:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
