"""What the server says, as values."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .errors import BrokenAnswer, Refused, refusal_of

_META = "vitrine-meta-"
_TIER = re.compile(r"^vitrine; hit;.*\bdetail=([^;, ]+)")
_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]*):")


def decoded(value: str) -> str:
    """The text of a field's value: UTF-8, which HTTP clients show as Latin-1."""
    return value.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def encoded(value: str) -> str:
    """The inverse of `decoded`. Raises ValueError for control characters."""
    if any((ord(character) < 32 and character != "\t") or ord(character) == 127 for character in value):
        raise ValueError(f"send field: a control character: {value!r}")
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """
    An object without its bytes. `size` is that of the whole object in bytes, `age` in seconds since it was stored,
    `tier` the one that answered, `sha256` the digest that was given when it was stored; `meta` has the Vitrine-Meta-*
    fields without that beginning, in lower case, and `headers` all fields, in lower case.
    """

    key: str
    size: int
    etag: str
    content_type: str
    age: int
    tier: str
    sha256: bytes | None
    meta: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CachedObject:
    """An object, or the part that a range asked for, which begins at `start`."""

    info: ObjectInfo
    body: bytes
    start: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """What was stored: its ETag, and whether it is new or has replaced another."""

    etag: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a listing; `expires` is None if it has no time to live."""

    key: str
    size: int
    etag: str
    content_type: str
    created: datetime
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class Lookup:
    """
    Which tiers have which keys. `held` has, for each key, the names of its tiers; `prefix` has, for each tier, the
    number of leading keys that it or a tier before it has; `failed` the tiers that could not answer, with their error.
    """

    held: Sequence[Sequence[str]]
    prefix: Mapping[str, int]
    failed: Mapping[str, str]

    @property
    def found(self) -> list[bool]:
        """For each key, whether a read would find it."""
        return [len(tiers) > 0 for tiers in self.held]

    @property
    def leading(self) -> int:
        """The number of leading keys that a read would find."""
        return next((index for index, tiers in enumerate(self.held) if not tiers), len(self.held))


@dataclass(frozen=True, slots=True)
class BatchObject:
    """One key's part of a batch of reads: the object, or why there is none (`refusal`, with status 404 for a miss)."""

    key: str
    object: CachedObject | None
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of one key of a batch: `stored` after a put; `refusal` says why it failed, with status 404 for a miss.
    """

    key: str
    stored: Stored | None
    refusal: Refused | None


def info_of(key: str, headers: Mapping[str, str], size: int) -> ObjectInfo:
    """The object that the fields of an answer describe."""
    age = headers.get("age", "")
    tier = _TIER.match(headers.get("cache-status", ""))
    return ObjectInfo(
        key=key,
        size=size,
        etag=headers.get("etag", ""),
        content_type=headers.get("content-type", ""),
        age=int(age) if age.isascii() and age.isdigit() else 0,
        tier=tier.group(1) if tier else "",
        sha256=sha256_of(headers.get("repr-digest", "")),
        meta={name[len(_META) :]: decoded(value) for name, value in headers.items() if name.startswith(_META)},
        headers=headers,
    )


def sha256_of(field: str) -> bytes | None:
    """The SHA-256 in a digest field; None if there is none. Raises BrokenAnswer."""
    found = _DIGEST.search(field)
    if found is None:
        return None
    try:
        digest = base64.b64decode(found.group(1), validate=True)
    except binascii.Error as error:
        raise BrokenAnswer(f"parse Repr-Digest: {field!r}") from error
    if len(digest) != 32:
        raise BrokenAnswer(f"parse Repr-Digest: {field!r}")
    return digest


def size_of(headers: Mapping[str, str]) -> tuple[int, int, int]:
    """The size of the whole object, where the body starts in it, and the body's length. Raises BrokenAnswer."""
    part = re.match(r"^bytes (\d+)-(\d+)/(\d+)$", headers.get("content-range", ""))
    length = headers.get("content-length")
    try:
        body = None if length is None else int(length)
        if part is not None:
            first, last, size = (int(digits) for digits in part.groups())
            if not first <= last < size or body not in (None, last - first + 1):
                raise ValueError
            return size, first, last - first + 1
        whole = int(headers.get("vitrine-size") or headers["content-length"])
        if body not in (None, whole):
            raise ValueError
    except (KeyError, ValueError) as error:
        raise BrokenAnswer(f"read object: no length, or lengths that contradict each other: {dict(headers)}") from error
    return whole, 0, whole


def time_of(text: object) -> datetime:
    """A time in UTC. Raises BrokenAnswer."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise BrokenAnswer(f"parse time: {text!r}") from error


def list_of(value: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = value.get(name)
    if not isinstance(found, list):
        raise BrokenAnswer(f"parse answer: no list {name!r}")
    return found


def dict_of(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    if not isinstance(found, dict):
        raise BrokenAnswer(f"parse answer: no object {name!r}")
    return found


def lookup_of(answer: Mapping[str, Any], keys: int) -> Lookup:
    held = list_of(answer, "held")
    if len(held) != keys or not all(isinstance(tiers, list) for tiers in held):
        raise BrokenAnswer(f"look up: an answer about {len(held)} keys instead of {keys}")
    return Lookup(held=held, prefix=dict_of(answer, "prefix"), failed=answer.get("failed") or {})


def listed_of(entry: Mapping[str, Any]) -> Listed:
    expires = entry.get("expires")
    try:
        return Listed(
            key=str(entry["key"]),
            size=int(entry["size_bytes"]),
            etag=str(entry["etag"]),
            content_type=str(entry["content_type"]),
            created=time_of(entry["created"]),
            expires=None if expires is None else time_of(expires),
        )
    except (KeyError, TypeError) as error:
        raise BrokenAnswer(f"parse listing: {entry!r}") from error


def object_or_refusal(key: str, header: Mapping[str, Any], size: int) -> ObjectInfo | Refused:
    status = header.get("status")
    if status == 200:
        return info_of(key, {str(name).lower(): str(value) for name, value in dict_of(header, "headers").items()}, size)
    if not isinstance(status, int) or size != 0:
        raise BrokenAnswer(f"read batch: a frame that makes no sense: {header!r}")
    return refusal_of(status, {name: value for name, value in header.items() if name != "key"})


def outcomes(answer: Mapping[str, Any], keys: Sequence[str], *, is_put: bool) -> list[Outcome]:
    results = list_of(answer, "results")
    if [result.get("key") for result in results] != list(keys):
        raise BrokenAnswer(f"parse results: {len(results)} results that are not those of the {len(keys)} keys")
    outcomes = []
    for result in results:
        status = result.get("status")
        if not isinstance(status, int):
            raise BrokenAnswer(f"parse results: a status that is no number: {result!r}")
        if status > 299:
            problem = {name: value for name, value in result.items() if name != "key"}
            outcomes.append(Outcome(result["key"], None, refusal_of(status, problem)))
            continue
        stored = Stored(str(result.get("etag")), status == 201) if is_put else None
        outcomes.append(Outcome(result["key"], stored, None))
    return outcomes
