from __future__ import annotations

import io
import json
import random
import string
import unittest

from vitrine_cache import BrokenAnswer
from vitrine_cache.frames import MAX_HEADER_BYTES, FrameReader, frame_head, in_blocks


class Trickle:
    """Gives bytes in pieces of random sizes."""

    def __init__(self, data: bytes, rng: random.Random) -> None:
        self._data = io.BytesIO(data)
        self._rng = rng

    def readinto(self, buffer: memoryview, /) -> int:
        got = self._data.read(min(len(buffer), self._rng.randint(1, 200_000)))
        buffer[: len(got)] = got
        return len(got)


def read_all(data: bytes, rng: random.Random) -> list[tuple[dict[str, object], bytes]]:
    reader = FrameReader(Trickle(data, rng))
    found = []
    while (header := reader.head()) is not None:
        found.append((header, reader.read()))
    return found


class FramesTest(unittest.TestCase):
    def test_a_frame_is_the_documented_bytes(self) -> None:
        self.assertEqual(
            frame_head({"key": "é"}, 5) + b"hello",
            b"\x00\x00\x00\x0c" + b"\x00\x00\x00\x00\x00\x00\x00\x05" + b'{"key":"\xc3\xa9"}' + b"hello",
        )

    def test_what_is_written_is_read_whatever_the_pieces(self) -> None:
        for seed in range(60):
            with self.subTest(seed=seed):
                rng = random.Random(seed)
                frames = []
                for _ in range(rng.randint(0, 20)):
                    key = "".join(rng.choices(string.printable + "é漢🙂", k=rng.randint(0, 40)))
                    frames.append(
                        ({"key": key, "status": rng.randint(0, 9)}, rng.randbytes(rng.choice((0, 1, 7, 70_000))))
                    )
                parts = [part for header, body in frames for part in (frame_head(header, len(body)), body)]
                data = b"".join(in_blocks(parts))
                self.assertEqual(data, b"".join(parts))
                self.assertEqual(read_all(data, rng), frames)

    def test_what_is_not_read_of_a_body_is_passed_over(self) -> None:
        data = frame_head({"n": 1}, 200_000) + bytes(200_000) + frame_head({"n": 2}, 2) + b"ab"
        reader = FrameReader(Trickle(data, random.Random(1)))
        reader.head()
        reader.readinto(memoryview(bytearray(3)))
        self.assertEqual(reader.head(), {"n": 2})
        self.assertEqual(reader.read(), b"ab")
        self.assertIsNone(reader.head())

    def test_every_cut_is_noticed(self) -> None:
        frames = [({"key": "a"}, b"12345"), ({"key": "b"}, b""), ({"key": "c"}, b"x" * 50)]
        data = b"".join(frame_head(header, len(body)) + body for header, body in frames)
        ends = {0}
        for header, body in frames:
            ends.add(max(ends) + len(frame_head(header, len(body))) + len(body))
        for length in range(len(data)):
            cut = data[:length]
            if length in ends:
                self.assertEqual(read_all(cut, random.Random(length)), frames[: sorted(ends).index(length)])
            else:
                with self.assertRaises(BrokenAnswer, msg=str(length)):
                    read_all(cut, random.Random(length))

    def test_changed_bytes_are_read_as_themselves_or_refused(self) -> None:
        data = b"".join(frame_head({"key": str(n)}, 10) + bytes(10) for n in range(4))
        for seed in range(400):
            rng = random.Random(seed)
            changed = bytearray(data)
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            try:
                found = read_all(bytes(changed), rng)
            except BrokenAnswer:
                continue
            # What was read accounts for every byte.
            self.assertEqual(sum(len(frame_head(header, 0)) + len(body) for header, body in found), len(data), seed)

    def test_a_header_that_is_too_large_is_refused_on_both_sides(self) -> None:
        with self.assertRaises(ValueError):
            frame_head({"key": "x" * MAX_HEADER_BYTES}, 0)
        text = json.dumps({"key": "x" * MAX_HEADER_BYTES}).encode()
        with self.assertRaises(BrokenAnswer):
            read_all(len(text).to_bytes(4, "big") + bytes(8) + text, random.Random(1))

    def test_a_length_that_is_a_lie_costs_no_memory(self) -> None:
        reader = FrameReader(Trickle(frame_head({}, 2**63), random.Random(1)))
        reader.head()
        with self.assertRaises(BrokenAnswer):
            reader.read()

    def test_a_header_that_is_no_object_is_refused(self) -> None:
        for text in (b"[]", b"1", b"\xff", b'{"a"'):
            with self.assertRaises(BrokenAnswer):
                read_all(len(text).to_bytes(4, "big") + bytes(8) + text, random.Random(1))
