"""
The frames in which many objects travel. A frame is

| bytes | content                               |
| ----- | ------------------------------------- |
| 4     | H, the length of the header, big-endian |
| 8     | B, the length of the body, big-endian   |
| H     | the header, JSON in UTF-8               |
| B     | the body                                |
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from .errors import BrokenAnswer

FRAMES_TYPE = "application/vnd.vitrine.frames"
MAX_HEADER_BYTES = 65_536
_LENGTHS = struct.Struct(">IQ")
_BLOCK_BYTES = 64 * 1024


class Source(Protocol):
    """Where frames are read from."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fills the beginning of `buffer`, and returns by how many bytes; 0 at the end."""


def frame_head(header: Mapping[str, Any], body_bytes: int) -> bytes:
    """The lengths and the header of a frame whose body follows. Raises ValueError if the header is too large."""
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(f"make frame: a header of {len(text)} bytes, more than {MAX_HEADER_BYTES}")
    return _LENGTHS.pack(len(text), body_bytes) + text


def in_blocks(parts: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same bytes; small parts are joined, so that they do not leave one by one, large ones are not copied."""
    waiting: list[bytes | memoryview] = []
    size = 0
    for part in parts:
        if len(part) < _BLOCK_BYTES:
            waiting.append(part)
            size += len(part)
            if size < _BLOCK_BYTES:
                continue
            yield b"".join(waiting)
        else:
            if waiting:
                yield b"".join(waiting)
            yield part
        waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


class FrameReader:
    """Reads frames one after the other. Every method raises BrokenAnswer where the bytes are not those of frames."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._unread = 0

    @property
    def unread(self) -> int:
        """The number of bytes of the last frame's body that are still to be read."""
        return self._unread

    def head(self) -> dict[str, Any] | None:
        """The next frame's header; None at the end. What is unread of the last body is passed over."""
        while self._unread > 0:
            self.readinto(memoryview(bytearray(min(self._unread, _BLOCK_BYTES))))
        lengths = bytearray(_LENGTHS.size)
        first = self._source.readinto(memoryview(lengths))
        if not first:
            return None
        self._fill(memoryview(lengths)[first:])
        header_bytes, body_bytes = _LENGTHS.unpack(lengths)
        if header_bytes > MAX_HEADER_BYTES:
            raise BrokenAnswer(f"parse frames: a header of {header_bytes} bytes, more than {MAX_HEADER_BYTES}")
        text = bytearray(header_bytes)
        self._fill(memoryview(text))
        try:
            header = json.loads(text.decode())
        except ValueError as error:
            raise BrokenAnswer("parse frames: a header that is not JSON") from error
        if not isinstance(header, dict):
            raise BrokenAnswer("parse frames: a header that is no object")
        self._unread = body_bytes
        return header

    def readinto(self, buffer: memoryview) -> None:
        """Fills all of `buffer` from the body of the last frame."""
        if len(buffer) > self._unread:
            raise ValueError(f"read frame: {len(buffer)} bytes where {self._unread} are left")
        self._fill(buffer)
        self._unread -= len(buffer)

    def read(self) -> bytes:
        """The rest of the body of the last frame."""
        # A length that is a lie costs no memory: what does not arrive is not reserved.
        parts: list[bytes] = []
        while self._unread > 0:
            part = bytearray(min(self._unread, 16 * 1024 * 1024))
            self.readinto(memoryview(part))
            parts.append(bytes(part))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _fill(self, buffer: memoryview) -> None:
        at = 0
        while at < len(buffer):
            got = self._source.readinto(buffer[at:])
            if not got:
                raise BrokenAnswer("parse frames: they end within a frame")
            at += got
