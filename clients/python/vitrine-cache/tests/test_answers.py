"""Answers that a good server does not give."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
import unittest
from collections.abc import Callable

from vitrine_cache import (
    BrokenAnswer,
    Cache,
    ConnectionFailed,
    DigestMismatch,
    NotFound,
    Put,
    Refused,
    TimedOut,
    Unavailable,
    VitrineError,
)
from vitrine_cache.frames import frame_head

from .servers import Scripted, answer

OK = answer(200, b"hello", etag='"1"')
CHUNKED = b"HTTP/1.1 200 x\r\nvitrine-size: 5\r\ntransfer-encoding: chunked\r\n\r\n"
MISS = answer(404, b"{}", cache_status="vitrine; fwd=miss")


def problem(status: int, type: str, **headers: str) -> bytes:
    body = json.dumps({"type": f"/problems/{type}", "title": "T", "status": status, "detail": "d", "limit_bytes": 5})
    return answer(status, body.encode(), content_type="application/problem+json", **headers)


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def cut(connection: socket.socket) -> None:
    """Takes a request and ends the connection."""
    connection.recv(65536)


class AnswersTest(unittest.TestCase):
    def cache(self, server: Scripted, timeout: float = 5, retries: int = 0) -> Cache:
        cache = Cache(server.url, timeout=timeout, retries=retries)
        self.addCleanup(cache.close)
        return cache

    def reads(self, cache: Cache) -> list[Callable[[], object]]:
        def stream() -> object:
            reader = cache.open("k")
            assert reader is not None
            with reader:
                return reader.read()

        return [lambda: cache.get("k"), lambda: cache.get_into("k", bytearray(5)), stream]

    def test_wrong_bodies_are_never_returned(self) -> None:
        bad = {
            "cut": b"HTTP/1.1 200 x\r\ncontent-length: 5\r\n\r\nhel",
            "empty": b"HTTP/1.1 200 x\r\ncontent-length: 5\r\n\r\n",
            "chunked cut in a chunk": CHUNKED + b"5\r\nhel",
            "chunked without an end": CHUNKED + b"5\r\nhello\r\n",
            "chunked too short": CHUNKED + b"4\r\nhell\r\n0\r\n\r\n",
            "chunked too long": CHUNKED + b"6\r\nhello!\r\n0\r\n\r\n",
            "no length": b"HTTP/1.1 200 x\r\n\r\nhello",
            "two lengths": answer(200, b"hello", vitrine_size="6"),
            "a part": answer(206, b"hello", content_range="bytes 0-4/9"),
            "another digest": answer(200, b"hello", repr_digest=digest(b"other")),
            "a malformed digest": answer(200, b"hello", repr_digest="sha-256=:AAAA:"),
        }
        for name, text in bad.items():
            for number in range(3):
                with self.subTest(name, read=number), Scripted(text) as server:
                    read = self.reads(self.cache(server))[number]
                    # Whether the end of the connection or of the body is told of depends on the read.
                    with self.assertRaises((BrokenAnswer, ConnectionFailed)):
                        read()

    def test_a_stream_goes_on_failing(self) -> None:
        with Scripted(answer(200, b"hello", repr_digest=digest(b"other"))) as server:
            reader = self.cache(server).open("k")
            assert reader is not None
            with reader:
                for _ in range(3):
                    with self.assertRaises(DigestMismatch):
                        reader.read(5)

    def test_a_part_that_was_not_asked_for_is_refused(self) -> None:
        for text in (
            answer(200, b"hello"),
            answer(206, b"hello", content_range="bytes 0-4/9"),
            answer(206, b"hell", content_range="bytes 2-6/9"),
            answer(206, b"hello", content_range="bytes 2-6/6"),
            answer(206, b"hello"),
        ):
            with self.subTest(text), Scripted(text) as server, self.assertRaises(BrokenAnswer):
                self.cache(server).get("k", start=2, end=7)

    def test_reads_are_repeated_and_writes_are_not(self) -> None:
        with Scripted(cut, cut, OK) as server:
            found = self.cache(server, retries=2).get("k")
            assert found is not None
            self.assertEqual((found.body, server.connections), (b"hello", 3))
        with Scripted(b"HTTP/1.1 200 x\r\ncontent-length: 5\r\n\r\nhel", OK) as server:
            self.assertIsNotNone(self.cache(server, retries=1).get("k"))
        calls: list[Callable[[Cache], object]] = [
            lambda cache: cache.put("k", b"1"),
            lambda cache: cache.delete("k"),
            lambda cache: cache.lease(["k"], 5),
            lambda cache: cache.release("0" * 16),
            lambda cache: cache.batch_put([Put("k", b"1")]),
            lambda cache: cache.batch_delete(["k"]),
            lambda cache: cache.clear(),
        ]
        for call in calls:
            with Scripted(cut, OK) as server:
                with self.assertRaises(ConnectionFailed):
                    call(self.cache(server, retries=3))
                self.assertEqual(server.connections, 1)

    def test_what_a_server_says_it_has_not_begun_is_sent_again(self) -> None:
        with Scripted((problem(503, "overloaded", retry_after="0"), b""), answer(201, etag='"1"')) as server:
            self.assertTrue(self.cache(server, retries=1).put("k", b"body").is_new)
            self.assertEqual([request.endswith(b"body") for request in server.requests], [True, True])
        with Scripted(problem(503, "tier-failed"), answer(201, etag='"1"')) as server:
            with self.assertRaises(Unavailable):
                self.cache(server, retries=1).put("k", b"body")
            self.assertEqual(len(server.requests), 1)
        with Scripted(problem(503, "tier-failed"), OK) as server:
            self.assertIsNotNone(self.cache(server, retries=1).get("k"))
        with Scripted(problem(503, "overloaded", retry_after="3600"), OK) as server:
            begin = time.monotonic()
            with self.assertRaises(Unavailable) as raised:
                self.cache(server, retries=1).get("k")
            self.assertEqual(raised.exception.retry_after, 3600)
            self.assertLess(time.monotonic() - begin, 2)

    def test_refusals_say_what_the_server_said(self) -> None:
        with Scripted(problem(507, "no-room"), answer(502, b"<html>bad gateway</html>")) as server:
            cache = self.cache(server)
            with self.assertRaises(Refused) as raised:
                cache.put("k", b"1")
            error = raised.exception
            self.assertEqual(
                (error.status, error.type, error.title, error.detail), (507, "/problems/no-room", "T", "d")
            )
            self.assertEqual(error.members, {"limit_bytes": 5})
            with self.assertRaises(Refused) as raised:
                cache.get("k")
            self.assertEqual((raised.exception.status, raised.exception.detail), (502, "<html>bad gateway</html>"))

    def test_a_404_of_something_else_is_no_miss(self) -> None:
        with Scripted(MISS) as server:
            self.assertIsNone(self.cache(server).get("k"))
        for text in (answer(404, b"nginx"), problem(404, "not-found")):
            with Scripted(text) as server, self.assertRaises(NotFound):
                self.cache(server).get("k")

    def test_silence_ends_with_the_time_out(self) -> None:
        release: list[socket.socket] = []

        def silent(connection: socket.socket) -> None:
            release.append(connection)
            while connection.recv(65536):
                pass

        with Scripted(silent) as server:
            begin = time.monotonic()
            with self.assertRaises(TimedOut):
                self.cache(server, timeout=0.3, retries=3).get("k")
            self.assertLess(time.monotonic() - begin, 3)

    def test_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with self.assertRaises(ConnectionFailed):
            Cache(url, retries=1).put("k", b"1")

    def test_a_refusal_ends_an_upload(self) -> None:
        def refuses(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(problem(413, "too-large"))
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(5)
            # Reads no more of the body than is on its way, as a server that waits for its end would.
            time.sleep(0.2)

        with Scripted(refuses) as server:
            sent = 0

            def body() -> object:
                nonlocal sent
                for _ in range(2000):
                    sent += 1
                    yield bytes(100_000)

            with self.assertRaises(Refused) as raised:
                self.cache(server).put("k", body())  # type: ignore[arg-type]
            self.assertEqual(raised.exception.status, 413)
            self.assertLess(sent, 2000)

    def test_a_connection_with_something_left_on_it_is_not_used_again(self) -> None:
        was_read = threading.Event()

        def twice(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(OK)
            was_read.wait(5)
            connection.sendall(answer(200, b"wrong"))

        with Scripted(twice, OK) as server:
            cache = self.cache(server)
            cache.get("a")
            [(connection, _)] = cache._pool._idle
            was_read.set()
            assert connection.sock is not None
            connection.sock.recv(1, socket.MSG_PEEK)
            found = cache.get("b")
            assert found is not None
            self.assertEqual((found.body, server.connections), (b"hello", 2))

    def test_batches_that_are_not_whole(self) -> None:
        head = frame_head({"key": "a", "status": 200, "headers": {}}, 5)
        missing = frame_head({"key": "b", "status": 404, "type": "/problems/not-found"}, 0)
        bad = {
            "fewer": head + b"hello",
            "cut": head + b"hel",
            "another key": frame_head({"key": "x", "status": 200, "headers": {}}, 5) + b"hello" + missing,
            "more": head + b"hello" + missing + missing,
            "no status": frame_head({"key": "a", "headers": {}}, 5) + b"hello" + missing,
            "no headers": frame_head({"key": "a", "status": 200}, 5) + b"hello" + missing,
            "not frames": b"<html>" * 10,
        }
        for name, body in bad.items():
            with self.subTest(name), Scripted(answer(200, body)) as server, self.assertRaises(BrokenAnswer):
                list(self.cache(server).batch_get(["a", "b"]))
            with self.subTest(name, into=True), Scripted(answer(200, body)) as server:
                errors = self.cache(server).batch_get_into(["a", "b"], [bytearray(5), bytearray(5)])
                self.assertIsInstance(errors[1], VitrineError)
        with Scripted(answer(200, head + b"hello" + missing)) as server:
            self.assertEqual([item.object is None for item in self.cache(server).batch_get(["a", "b"])], [False, True])
        other = {"repr-digest": digest(b"other")}
        frames = frame_head({"key": "a", "status": 200, "headers": other}, 5) + b"hello" + missing
        with Scripted(answer(200, frames)) as server:
            first, second = self.cache(server).batch_get_into(["a", "b"], [bytearray(5), bytearray(5)])
            self.assertIsInstance(first, DigestMismatch)
            self.assertIsInstance(second, NotFound)

    def test_answers_that_make_no_sense(self) -> None:
        for body in (b"", b"[]", b"{}", b'{"held":[["l1"]],"prefix":{}}', b'{"held":[1,2],"prefix":{}}', b"\xff"):
            with self.subTest(body), Scripted(answer(200, body)) as server, self.assertRaises(BrokenAnswer):
                self.cache(server).lookup(["a", "b"])
        for body in (b'{"results":[]}', b'{"results":[{"key":"b","status":201}]}', b'{"results":[{"key":"a"}]}'):
            with self.subTest(body), Scripted(answer(200, body)) as server, self.assertRaises(BrokenAnswer):
                self.cache(server).batch_put([Put("a", b"1")])

    def test_bad_urls(self) -> None:
        for url in ("", "127.0.0.1:8080", "ftp://a", "http://", "http://a/?x", "http://user:secret@a"):
            with self.assertRaises(ValueError) as raised:
                Cache(url)
            self.assertNotIn("secret", str(raised.exception))
