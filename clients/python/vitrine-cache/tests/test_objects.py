from __future__ import annotations

import gzip
import io
import os
import shutil
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

from vitrine_cache import (
    BadRange,
    BadRequest,
    Cache,
    DigestMismatch,
    NotFound,
    NotModified,
    PreconditionFailed,
    Put,
    WrongSize,
)

from .servers import Vitrine

MIB = 1024 * 1024


class ObjectsTest(unittest.TestCase):
    server: Vitrine
    cache: Cache

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Vitrine()
        cls.cache = Cache(cls.server.url)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.cache.close()
        cls.server.stop()

    def body_of(self, key: str) -> bytes:
        found = self.cache.get(key)
        assert found is not None
        return found.body

    def test_bytes_come_back_as_they_were(self) -> None:
        for size in (0, 1, 65_536, 65_537, 5 * MIB + 3):
            with self.subTest(size=size):
                body = os.urandom(size)
                stored = self.cache.put(f"size/{size}", body, digest=size % 2 == 1)
                self.assertTrue(stored.is_new)
                found = self.cache.get(f"size/{size}")
                assert found is not None
                self.assertEqual(found.body, body)
                self.assertEqual((found.info.size, found.info.etag), (size, stored.etag))
                head = self.cache.head(f"size/{size}")
                assert head is not None
                self.assertEqual((head.size, head.etag), (size, stored.etag))

    def test_keys_are_kept_as_they_are(self) -> None:
        keys = [
            "a b",
            "a%2Fb",
            "a/b",
            "a//b",
            "/x/",
            "é漢🙂",
            "a?b",
            "a+b",
            "a/./b",
            "a/../b",
            "~",
            "x&y=z",
            "@model@1@ff",
        ]
        for key in keys:
            self.cache.put(f"k:{key}", key.encode())
        for key in keys:
            self.assertEqual(self.body_of(f"k:{key}"), key.encode(), key)
        self.assertEqual({found.key for found in self.cache.list_objects("k:", page=3)}, {f"k:{key}" for key in keys})

    def test_bad_keys_reach_no_object(self) -> None:
        for call in (self.cache.get, self.cache.delete, self.cache.head):
            with self.assertRaises(ValueError):
                call("")
        with self.assertRaises(ValueError):
            self.cache.get("\ud800")
        with self.assertRaises(BadRequest):
            self.cache.put("x" * 1025, b"")

    def test_a_miss_is_none_and_says_why(self) -> None:
        self.assertIsNone(self.cache.get("absent"))
        self.assertIsNone(self.cache.head("absent"))
        self.assertIsNone(self.cache.open("absent"))
        self.assertIsNone(self.cache.get_into("absent", bytearray(1)))
        self.assertEqual(self.cache.explain("absent")["reason"], "never_stored")

    def test_a_wrong_path_is_no_miss(self) -> None:
        wrong = Cache(f"{self.server.url}/elsewhere")
        self.addCleanup(wrong.close)
        with self.assertRaises(NotFound):
            wrong.get("a")
        with self.assertRaises(NotFound):
            wrong.head("a")

    def test_delete_says_whether_there_was_one(self) -> None:
        stored = self.cache.put("gone", b"1")
        with self.assertRaises(PreconditionFailed):
            self.cache.delete("gone", if_match='"other"')
        self.assertTrue(self.cache.delete("gone", if_match=stored.etag))
        self.assertFalse(self.cache.delete("gone"))

    def test_parts(self) -> None:
        body = os.urandom(3 * MIB)
        self.cache.put("parts", body, digest=True)
        for start, end in (
            (0, 1),
            (5, None),
            (None, 7),
            (-9, None),
            (-10 * MIB, None),
            (1000, 2 * MIB),
            (10, 99 * MIB),
        ):
            with self.subTest(start=start, end=end):
                found = self.cache.get("parts", start=start, end=end)
                assert found is not None
                self.assertEqual(found.body, body[start:end])
                self.assertEqual(found.info.size, len(body))
                self.assertEqual(body[found.start : found.start + len(found.body)], found.body)
        with self.assertRaises(BadRange):
            self.cache.get("parts", start=len(body))
        for start, end in ((3, 3), (5, 2), (-3, 5)):
            with self.assertRaises(ValueError):
                self.cache.get("parts", start=start, end=end)

    def test_conditions(self) -> None:
        first = self.cache.put("cond", b"1", if_none_match="*")
        with self.assertRaises(PreconditionFailed):
            self.cache.put("cond", b"2", if_none_match="*")
        with self.assertRaises(NotModified):
            self.cache.get("cond", if_none_match=first.etag)
        with self.assertRaises(NotModified):
            self.cache.head("cond", if_none_match=first.etag)
        second = self.cache.put("cond", b"3", if_match=first.etag)
        self.assertFalse(second.is_new)
        with self.assertRaises(PreconditionFailed):
            self.cache.get("cond", if_match=first.etag)
        self.assertEqual(self.body_of("cond"), b"3")

    def test_what_is_kept_with_an_object(self) -> None:
        self.cache.put(
            "kept",
            gzip.compress(b"text"),
            content_type="text/plain",
            max_age=1000,
            meta={"Owner": "Zoë 漢"},
            headers={"Content-Encoding": "gzip"},
        )
        found = self.cache.get("kept")
        assert found is not None
        self.assertEqual(gzip.decompress(found.body), b"text")
        self.assertEqual(found.info.meta, {"owner": "Zoë 漢"})
        self.assertEqual((found.info.content_type, found.info.tier), ("text/plain", "l1"))
        self.assertEqual(found.info.headers["content-encoding"], "gzip")
        [listed] = self.cache.list_objects("kept")
        assert listed.expires is not None
        self.assertEqual(round((listed.expires - listed.created).total_seconds()), 1000)
        with self.assertRaises(ValueError):
            self.cache.put("kept", b"", meta={"a": "b\r\nEvil: 1"})

    def test_a_digest_is_checked_by_the_server(self) -> None:
        with self.assertRaises(BadRequest) as raised:
            self.cache.put("digest", b"x", headers={"Content-Digest": f"sha-256=:{'A' * 43}=:"})
        self.assertEqual(raised.exception.type, "/problems/digest-mismatch")
        self.assertIsNone(self.cache.get("digest"))

    def test_streams_in_and_out(self) -> None:
        body = os.urandom(9 * MIB + 1)
        with tempfile.TemporaryFile() as file:
            file.write(body)
            file.seek(0)
            self.cache.put("stream/file", file, size=len(body))
        self.cache.put("stream/pieces", (body[at : at + 100_000] for at in range(0, len(body), 100_000)))
        for key in ("stream/file", "stream/pieces"):
            reader = self.cache.open(key)
            assert reader is not None
            out = io.BytesIO()
            with reader:
                shutil.copyfileobj(reader, out)
            self.assertEqual(out.getvalue(), body)

    def test_a_stream_that_fails_stores_nothing(self) -> None:
        def failing() -> object:
            yield b"x" * 100_000
            raise OSError("disk")

        for size in (None, 200_000):
            with self.assertRaises(OSError):
                self.cache.put("failing", failing(), size=size)  # type: ignore[arg-type]
        for size in (99, 101):
            with self.assertRaises(ValueError):
                self.cache.put("failing", [b"x" * 100], size=size)
        self.assertIsNone(self.cache.get("failing"))

    def test_memory_of_the_wrong_size_is_left_alone(self) -> None:
        self.cache.put("into", b"12345")
        good, bad = bytearray(5), bytearray(6)
        self.cache.get_into("into", good)
        self.assertEqual(good, b"12345")
        with self.assertRaises(WrongSize):
            self.cache.get_into("into", bad)
        self.assertEqual(bad, bytes(6))

    def test_a_reader_that_is_closed_early_spoils_no_other_answer(self) -> None:
        self.cache.put("early", os.urandom(4 * MIB))
        self.cache.put("other", b"other")
        for _ in range(5):
            reader = self.cache.open("early")
            assert reader is not None
            with reader:
                reader.read(10)
            self.assertEqual(self.body_of("other"), b"other")

    def test_tenants_share_connections_and_no_objects(self) -> None:
        other = self.cache.for_tenant("team b")
        other.put("own", b"b")
        self.assertIsNone(self.cache.get("own"))
        self.cache.put("own", b"a")
        found = other.get("own")
        assert found is not None
        self.assertEqual(found.body, b"b")
        self.assertEqual(other.clear()["l1"], 1)
        self.assertEqual(self.body_of("own"), b"a")
        for tenant in ("x" * 129, "é", "a\r\nb", "a ", " "):
            with self.assertRaises(ValueError):
                self.cache.for_tenant(tenant)

    def test_many_threads(self) -> None:
        bodies = {f"thread/{n}": os.urandom(n * 9973 % 200_000) for n in range(64)}

        def work(key: str) -> None:
            self.cache.put(key, bodies[key])
            for _ in range(5):
                self.assertEqual(self.body_of(key), bodies[key])
                self.assertIsNone(self.cache.get(f"no/{key}"))

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(work, bodies))

    def test_a_fork_uses_no_connection_of_its_parent(self) -> None:
        self.cache.put("fork", b"parent")
        child = os.fork()
        if child == 0:
            found = self.cache.get("fork")
            os._exit(0 if found is not None and found.body == b"parent" else 1)
        for _ in range(20):
            self.assertEqual(self.body_of("fork"), b"parent")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def test_lookup(self) -> None:
        for n in (0, 1, 3):
            self.cache.put(f"look/{n}", b"x", durability="l2")
        keys = [f"look/{n}" for n in range(5)]
        found = self.cache.lookup(keys, tokens_per_key=256)
        self.assertEqual(found.found, [True, True, False, True, False])
        self.assertEqual(found.leading, 2)
        self.assertEqual(found.prefix, {"l1": 2, "fs": 2})
        self.assertEqual(self.cache.lookup(keys[:1], all_tiers=True).held, [["l1", "fs"]])
        with self.assertRaises(BadRequest):
            self.cache.lookup([])

    def test_leases(self) -> None:
        self.cache.put("lease/0", b"zero", durability="l2")
        with self.cache.lease(["lease/0", "lease/1"], 30, load=True) as lease:
            self.assertEqual([lease.holds(0), lease.holds(1)], [True, False])
            self.assertFalse(lease.is_released)
        self.assertFalse(self.cache.release(lease.id))
        lease = self.cache.lease(["lease/0"], 30)
        self.assertEqual(self.cache.batch_get_into(["lease/0"], [bytearray(4)], lease=lease), [None])
        self.assertTrue(lease.is_released)
        self.assertFalse(self.cache.release(lease.id))

    def test_batches(self) -> None:
        bodies = {f"batch/{n}": os.urandom(n * 4001) for n in range(40)}
        outcomes = self.cache.batch_put([Put(key, body, digest=True, meta={"n": "é"}) for key, body in bodies.items()])
        self.assertTrue(all(outcome.stored is not None and outcome.stored.is_new for outcome in outcomes))
        keys = [*bodies, "batch/none"]
        found = list(self.cache.batch_get(keys))
        self.assertEqual([item.object.body for item in found if item.object is not None], list(bodies.values()))
        self.assertEqual([item.key for item in found if item.refusal is not None], ["batch/none"])
        first = found[0].object
        assert first is not None
        self.assertEqual(first.info.meta, {"n": "é"})
        into = [bytearray(len(body)) for body in bodies.values()]
        into[3] = bytearray(1)
        errors = self.cache.batch_get_into(list(bodies), into)
        self.assertIsInstance(errors[3], WrongSize)
        self.assertEqual([error for n, error in enumerate(errors) if n != 3], [None] * 39)
        self.assertEqual(into[39], bodies["batch/39"])
        deleted = self.cache.batch_delete(["batch/0", "batch/none"])
        self.assertIsNone(deleted[0].refusal)
        self.assertIsInstance(deleted[1].refusal, NotFound)
        stopped = list(self.cache.batch_get(["batch/1", "batch/0", "batch/2"], stop_at_miss=True))
        self.assertEqual([item.object is not None for item in stopped], [True, False])

    def test_each_object_of_a_batch_has_its_own_outcome(self) -> None:
        self.cache.put("own/0", b"0")
        outcomes = self.cache.batch_put(
            [
                Put("own/0", b"x", if_none_match="*"),
                Put("own/1", b"1"),
                Put("x" * 2000, b"2"),
                Put("own/3", bytes(70_000)),
            ]
        )
        refusals = [outcome.refusal and outcome.refusal.status for outcome in outcomes]
        self.assertEqual(refusals, [412, None, 400, None])
        self.assertEqual(self.body_of("own/0"), b"0")

    def test_a_batch_that_is_left_early_spoils_no_other_answer(self) -> None:
        self.cache.batch_put([Put(f"left/{n}", os.urandom(500_000)) for n in range(6)])
        for item in self.cache.batch_get([f"left/{n}" for n in range(6)]):
            self.assertIsNotNone(item.object)
            break
        self.cache.put("right", b"right")
        self.assertEqual(self.body_of("right"), b"right")

    def test_a_digest_mismatch_is_raised_by_every_read(self) -> None:
        # A digest that a proxy or disk has changed: here the client is told of another one.
        self.cache.put("verify", b"bytes", digest=True)
        lying = Cache(self.server.url)
        self.addCleanup(lying.close)
        original = lying._open

        def changed(*args: object) -> object:
            reader = original(*args)  # type: ignore[arg-type]
            assert reader is not None and reader._hash is not None
            reader._hash.update(b"more")
            return reader

        lying._open = changed  # type: ignore[method-assign, assignment]
        for call in (lambda: lying.get("verify"), lambda: lying.get_into("verify", bytearray(5))):
            with self.assertRaises(DigestMismatch):
                call()

    def test_idle_connections_that_the_server_closed_are_no_failure(self) -> None:
        server = Vitrine("--idle-timeout=1s")
        self.addCleanup(server.stop)
        cache = Cache(server.url, retries=0)
        self.addCleanup(cache.close)
        cache.put("idle", b"1")
        [(connection, _)] = cache._pool._idle
        assert connection.sock is not None
        # Waits for the server to close it: there is something to read, its end.
        connection.sock.settimeout(10)
        self.assertEqual(connection.sock.recv(1, 2), b"")
        self.assertTrue(cache.delete("idle"))

    def test_a_server_that_starts_again_is_found_again(self) -> None:
        server = Vitrine()
        cache = Cache(server.url)
        self.addCleanup(cache.close)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: cache.put(f"again/{n}", b"1"), range(16)))
        server.stop()
        again = Vitrine(port=server.port)
        self.addCleanup(again.stop)
        self.assertTrue(cache.put("again", b"2").is_new)
