"""What is sent, from what was asked for."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from .answers import encoded

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Put:
    """An object to store in a batch; the fields mean what they mean in `Cache.put`."""

    key: str
    body: Bytes
    content_type: str | None = None
    max_age: int | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    if_match: str | None = None
    if_none_match: str | None = None
    durability: str | None = None
    digest: bool = False


@dataclass(frozen=True)
class PutFields:
    content_type: str | None
    max_age: int | None
    meta: Mapping[str, str]
    if_match: str | None
    if_none_match: str | None
    durability: str | None

    def headers(self, item: Put | None = None) -> dict[str, str]:
        fields = conditions(self.if_match, self.if_none_match)
        if self.content_type is not None:
            fields["Content-Type"] = self.content_type
        if self.max_age is not None:
            fields["Cache-Control"] = f"max-age={self.max_age:d}"
        if self.durability is not None:
            fields["Vitrine-Durability"] = self.durability
        for name, value in self.meta.items():
            fields[f"Vitrine-Meta-{name}"] = encoded(value)
        if item is not None and item.digest:
            fields["Content-Digest"] = digest_field(memoryview(item.body).cast("B"))
        return fields


def put_fields(item: Put) -> PutFields:
    return PutFields(item.content_type, item.max_age, item.meta, item.if_match, item.if_none_match, item.durability)


def length(body: Bytes) -> int:
    return memoryview(body).nbytes


def digest_field(view: memoryview) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(view).digest()).decode()}:"


def conditions(if_match: str | None, if_none_match: str | None) -> dict[str, str]:
    fields = {}
    if if_match is not None:
        fields["If-Match"] = if_match
    if if_none_match is not None:
        fields["If-None-Match"] = if_none_match
    return fields


def range_field(start: int | None, end: int | None) -> str | None:
    if start is None and end is None:
        return None
    first = start or 0
    if first < 0 and end is None:
        return f"bytes={first}"
    if first < 0 or (end is not None and end <= first):
        raise ValueError(f"read object: no part: {start}:{end}")
    return f"bytes={first}-" if end is None else f"bytes={first}-{end - 1}"


def part(start: int | None, end: int | None, size: int) -> tuple[int, int]:
    """The first byte and the length of the part that was asked for, of an object of this size."""
    first = max(0, size + start) if start is not None and start < 0 else start or 0
    return first, (size if end is None else min(end, size)) - first


def pieces_of(body: BinaryIO | Iterable[bytes]) -> Iterator[bytes | memoryview]:
    if isinstance(body, str):
        raise ValueError("store object: text has no bytes before it is encoded")
    if isinstance(body, (io.IOBase,)) or hasattr(body, "read"):
        file: Any = body
        while piece := file.read(1024 * 1024):
            if isinstance(piece, str):
                raise ValueError("store object: a file that is not open in binary mode")
            yield piece
        return
    yield from body


def exactly(pieces: Iterator[bytes | memoryview], size: int) -> Iterator[bytes | memoryview]:
    left = size
    for piece in pieces:
        left -= memoryview(piece).nbytes
        if left < 0:
            raise ValueError(f"store object: more than {size} bytes")
        yield piece
    if left > 0:
        raise ValueError(f"store object: {size - left} bytes instead of {size}")
