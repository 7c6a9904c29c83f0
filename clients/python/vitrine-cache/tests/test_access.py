from __future__ import annotations

import hashlib
import json
import os
import unittest

from vitrine_cache import Cache, Forbidden, TooManyRequests, Unauthorized

from .servers import Vitrine


def line(id: str, secret: str, **rights: object) -> str:
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return json.dumps({"id": id, "sha256": digest, "scopes": ["read", "write", "delete"], **rights})


class AccessTest(unittest.TestCase):
    server: Vitrine

    @classmethod
    def setUpClass(cls) -> None:
        lines = [
            line("writer", "vit_writer", tenant="team"),
            line("reader", "vit_reader", tenant="team", scopes=["read"]),
            line("engine", "vit_engine", any_tenant=True),
        ]
        cls.server = Vitrine(f"--tokens={chr(10).join(lines)}", "--tenant-rate=40")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    def cache(self, token: str | None, tenant: str = "", retries: int = 2) -> Cache:
        cache = Cache(self.server.url, token=token, tenant=tenant, retries=retries)
        self.addCleanup(cache.close)
        return cache

    def test_the_token_decides_what_is_allowed_and_for_whom(self) -> None:
        writer, reader = self.cache("vit_writer"), self.cache("vit_reader")
        writer.put("a", b"1")
        found = reader.get("a")
        assert found is not None
        self.assertEqual(found.body, b"1")
        with self.assertRaises(Forbidden):
            reader.put("a", os.urandom(3_000_000))
        with self.assertRaises(Forbidden):
            reader.put("a", (bytes(100_000) for _ in range(30)))
        with self.assertRaises(Forbidden):
            reader.delete("a")
        engine = self.cache("vit_engine")
        self.assertIsNone(engine.get("a"))
        self.assertIsNotNone(engine.for_tenant("team").get("a"))

    def test_no_token_and_a_wrong_one(self) -> None:
        for token in (None, "vit_other"):
            with self.assertRaises(Unauthorized):
                self.cache(token).head("a")
        with self.assertRaises(ValueError):
            self.cache("vit\r\nx: y")
        self.assertNotIn("vit_writer", repr(self.cache("vit_writer")))

    def test_a_write_that_was_refused_for_the_rate_is_sent_again(self) -> None:
        engine = self.cache("vit_engine", tenant="busy", retries=8)
        for n in range(60):
            self.assertTrue(engine.put(f"n{n}", b"1").is_new)
        impatient = self.cache("vit_engine", tenant="busy", retries=0)
        with self.assertRaises(TooManyRequests) as raised:
            for _ in range(200):
                impatient.get("n1")
        self.assertEqual(raised.exception.type, "/problems/rate-limited")
        self.assertIsNotNone(raised.exception.retry_after)
