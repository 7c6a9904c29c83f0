"""The client."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ssl import SSLContext
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from .answers import (
    BatchObject,
    CachedObject,
    Listed,
    Lookup,
    ObjectInfo,
    Outcome,
    Stored,
    dict_of,
    info_of,
    list_of,
    listed_of,
    lookup_of,
    object_or_refusal,
    outcomes,
    size_of,
    time_of,
)
from .connections import Answer, NotSent, Pool
from .errors import (
    BrokenAnswer,
    ConnectionFailed,
    DigestMismatch,
    NotModified,
    Refused,
    TimedOut,
    VitrineError,
    WrongSize,
    refusal_of_answer,
)
from .frames import FRAMES_TYPE, FrameReader, frame_head, in_blocks
from .lease import Lease
from .reader import Reader
from .request_fields import (
    Bytes,
    Put,
    PutFields,
    conditions,
    digest_field,
    exactly,
    length,
    part,
    pieces_of,
    put_fields,
    range_field,
)

Result = TypeVar("Result")

_MAX_PROBLEM_BYTES = 65_536
_NOT_FOUND = "/problems/not-found"
_FIRST_WAIT_SECONDS = 0.1
# The server has done nothing of a request that it refuses for one of these.
_NOT_BEGUN = frozenset(
    f"/problems/{name}"
    for name in (
        "busy",
        "keys-unavailable",
        "overloaded",
        "rate-limited",
        "shutting-down",
        "too-many-bytes",
        "too-many-requests",
    )
)


class Cache:
    """
    A Vitrine at `base_url`, for any number of threads.

    `token` is a secret of the server's token file or a JWT. `tenant` separates keys; where the server has tokens, only
    one with `any_tenant` may name it. `timeout` is the longest silence of the server in seconds. `connections` is the
    number of idle connections that are kept. `verify`: check the SHA-256 of objects that were stored with one.

    `retries` is how often a request is sent again: a read if it had no answer, or any of 503 and 429; a write, a lease
    and whatever changes something only if the server has surely done nothing of it.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        tenant: str = "",
        timeout: float = 30.0,
        connections: int = 16,
        retries: int = 2,
        verify: bool = True,
        ssl_context: SSLContext | None = None,
    ) -> None:
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or url.username:
            raise ValueError(f"connect: not a URL such as http://127.0.0.1:8080: {url.scheme}://{url.hostname}")
        if token is not None and (not token.isascii() or not token.isprintable() or not token):
            raise ValueError("connect: a token that is not printable ASCII")
        self._base = url.path.rstrip("/")
        self._pool = Pool(url, timeout=timeout, most=connections, context=ssl_context)
        self._retries = retries
        self._verify = verify
        self._token = token
        self._tenant = tenant
        self._fields = self._identity(tenant)

    def for_tenant(self, tenant: str) -> Cache:
        """The same server and connections, with the keys of another tenant."""
        other = object.__new__(Cache)
        other.__dict__.update(self.__dict__)
        other._tenant = tenant
        other._fields = self._identity(tenant)
        return other

    def close(self) -> None:
        """Closes the idle connections. The cache can be used further."""
        self._pool.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Cache({self._pool.origin}{self._base}, tenant={self._tenant!r})"

    # Objects

    def get(
        self,
        key: str,
        *,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> CachedObject | None:
        """
        The object, or None. `start` and `end` ask for a part, as in a slice; a negative `start` without `end` asks for
        the last bytes. A part that is beyond the end raises BadRange. Conditions raise PreconditionFailed and
        NotModified.
        """

        def once() -> CachedObject | None:
            reader = self._open(key, start, end, if_match, if_none_match)
            if reader is None:
                return None
            with reader:
                return CachedObject(reader.info, reader.readall(), reader.start)

        return self._repeated(once)

    def get_into(self, key: str, buffer: Bytes) -> ObjectInfo | None:
        """
        Reads the object into memory that has exactly its size; None if there is no object. Raises WrongSize. After
        BrokenAnswer and ConnectionFailed the memory has been written to and must not be used.
        """
        view = memoryview(buffer).cast("B")

        def once() -> ObjectInfo | None:
            reader = self._open(key, None, None, None, None)
            if reader is None:
                return None
            with reader:
                if reader.length != len(view):
                    raise WrongSize(key, size=reader.length, wanted=len(view))
                reader.fill(view)
                return reader.info

        return self._repeated(once)

    def open(
        self,
        key: str,
        *,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> Reader | None:
        """The object as a stream, to be closed; None if there is none. The parameters are those of `get`."""
        return self._repeated(lambda: self._open(key, start, end, if_match, if_none_match))

    def head(self, key: str, *, if_match: str | None = None, if_none_match: str | None = None) -> ObjectInfo | None:
        """What GET would find, without the bytes; None if there is no object."""
        headers = conditions(if_match, if_none_match)

        def once() -> ObjectInfo | None:
            answer = self._send("HEAD", self._object(key), headers)
            try:
                if answer.status == 200:
                    info = info_of(key, answer.headers, size_of(answer.headers)[0])
                    answer.read()
                    answer.finish()
                    return info
                self._absent(answer)
                return None
            finally:
                answer.close()

        return self._repeated(once)

    def put(
        self,
        key: str,
        body: Bytes | BinaryIO | Iterable[bytes],
        *,
        size: int | None = None,
        content_type: str | None = None,
        max_age: int | None = None,
        meta: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        durability: str | None = None,
        digest: bool = False,
    ) -> Stored:
        """
        Stores an object: bytes, a binary file from where it stands, or pieces. `size` is the number of bytes of a file
        or of pieces; if they turn out to be more or fewer, nothing is stored and ValueError is raised.

        `max_age` in seconds; `meta` are your own fields; `headers` further ones that the server keeps, such as
        Content-Encoding. `if_none_match="*"` only creates. `durability` is "l1" or "l2". `digest`: send the SHA-256 of
        bytes, which the server checks, keeps, and gives to every reader.
        """
        item = PutFields(content_type, max_age, meta or {}, if_match, if_none_match, durability)
        fields: dict[str, str] = {**(headers or {}), **item.headers()}
        if isinstance(body, (bytes, bytearray, memoryview)):
            view = memoryview(body).cast("B")
            if size is not None and size != len(view):
                raise ValueError(f"store object: {len(view)} bytes instead of {size}")
            if digest:
                fields["Content-Digest"] = digest_field(view)
            fields["Content-Length"] = str(len(view))
            return self._repeated(lambda: self._put(key, [view], fields), is_write=True)
        if digest:
            raise ValueError("store object: the digest of a stream is not known before its end")
        pieces = pieces_of(body)
        if size is None:
            fields["Transfer-Encoding"] = "chunked"
        else:
            fields["Content-Length"] = str(size)
            pieces = exactly(pieces, size)
        # What was taken from a stream cannot be sent again.
        return self._put(key, pieces, fields)

    def delete(self, key: str, *, if_match: str | None = None) -> bool:
        """Removes the object from all tiers; False if there was none."""

        def once() -> bool:
            answer = self._send("DELETE", self._object(key), conditions(if_match, None))
            try:
                if answer.status == 204:
                    answer.read()
                    answer.finish()
                    return True
                self._absent(answer, is_read=False)
                return False
            finally:
                answer.close()

        return self._repeated(once, is_write=True)

    def explain(self, key: str) -> dict[str, Any]:
        """Why a GET of the key would be a hit or a miss: docs/HTTP.md of the server tells what is in it."""
        return self._repeated(lambda: self._json("GET", self._object(key) + "?explain=1"))

    def list_objects(self, prefix: str = "", *, tier: str | None = None, page: int = 1000) -> Iterator[Listed]:
        """The tenant's objects in the byte order of their keys, by pages of `page`."""
        query = {"prefix": prefix, "limit": str(page), **({} if tier is None else {"tier": tier})}
        while True:
            path = f"/v1/objects?{urlencode(query)}"
            found = self._repeated(lambda path=path: self._json("GET", path))  # type: ignore[misc]
            for entry in list_of(found, "objects"):
                yield listed_of(entry)
            if "next_cursor" not in found:
                return
            query["cursor"] = str(found["next_cursor"])

    def clear(self, *, tier: str | None = None) -> dict[str, int]:
        """Removes all objects of the tenant, from one tier or from all; the numbers by tier."""
        query = urlencode({"clear": "all", **({} if tier is None else {"tier": tier})})
        answer = self._repeated(lambda: self._json("DELETE", f"/v1/objects?{query}"), is_write=True)
        return {str(name): int(count) for name, count in dict_of(answer, "removed").items()}

    # Many keys

    def lookup(self, keys: Sequence[str], *, tokens_per_key: int = 1, all_tiers: bool = False) -> Lookup:
        """Which tiers have up to 10 000 keys. `tokens_per_key` is what the server's metrics count for a key."""
        body: dict[str, object] = {"keys": list(keys), "tokens_per_key": tokens_per_key, "all_tiers": all_tiers}
        return self._repeated(lambda: lookup_of(self._json("POST", "/v1/lookup", body), len(keys)))

    def lease(
        self,
        keys: Sequence[str],
        seconds: int,
        *,
        load: bool = False,
        tokens_per_key: int = 1,
        all_tiers: bool = False,
    ) -> Lease:
        """
        A lookup after which the server evicts from memory none of what it has found there, for 1 to 600 seconds.
        `load`: what only another tier has is loaded into memory first. Use it in a `with` statement, which releases it.
        """
        body: dict[str, object] = {
            "keys": list(keys),
            "tokens_per_key": tokens_per_key,
            "all_tiers": all_tiers,
            "lease": seconds,
            "load": load,
        }

        def once() -> Lease:
            answer = self._json("POST", "/v1/lookup", body)
            lease = dict_of(answer, "lease")
            refused = frozenset(int(index) for index in list_of(lease, "refused"))
            return Lease(
                self.release, str(lease.get("id")), time_of(lease.get("expires")), refused, lookup_of(answer, len(keys))
            )

        return self._repeated(once, is_write=True)

    def release(self, lease_id: str) -> bool:
        """Ends a lease; False if it has ended before."""

        def once() -> bool:
            answer = self._send("DELETE", f"/v1/leases/{quote(lease_id, safe='')}", {})
            try:
                if answer.status == 204:
                    answer.read()
                    answer.finish()
                    return True
                self._absent(answer, is_read=False)
                return False
            finally:
                answer.close()

        return self._repeated(once, is_write=True)

    def batch_get(
        self, keys: Sequence[str], *, stop_at_miss: bool = False, lease: Lease | None = None
    ) -> Iterator[BatchObject]:
        """
        Up to 10 000 objects in the order of their keys, as they arrive. With `stop_at_miss`, the last one is the first
        that is not there. `lease` is released by the server once all has been read. Raises BrokenAnswer if some are
        missing.
        """
        for index, header, frames in self._frames(keys, stop_at_miss, lease):
            found = object_or_refusal(keys[index], header, frames.unread)
            if isinstance(found, Refused):
                yield BatchObject(keys[index], None, found)
                continue
            body = frames.read()
            self._check(found, memoryview(body))
            yield BatchObject(keys[index], CachedObject(found, body), None)

    def batch_get_into(
        self,
        keys: Sequence[str],
        buffers: Sequence[Bytes],
        *,
        stop_at_miss: bool = False,
        lease: Lease | None = None,
    ) -> list[VitrineError | None]:
        """
        Reads up to 10 000 objects, each into memory of exactly its size. For each key None, if its memory has its
        object, or the error: Refused (404 for a miss), WrongSize, DigestMismatch, or what broke the rest of the batch
        off. Memory whose key has an error may have been written to.
        """
        if len(buffers) != len(keys):
            raise ValueError(f"read batch: {len(keys)} keys and {len(buffers)} buffers")
        results: list[VitrineError | None] = [ConnectionFailed("read batch: not reached")] * len(keys)
        at = 0
        try:
            for index, header, frames in self._frames(keys, stop_at_miss, lease):
                at = index
                found = object_or_refusal(keys[index], header, frames.unread)
                view = memoryview(buffers[index]).cast("B")
                if isinstance(found, Refused):
                    results[index] = found
                elif found.size != len(view):
                    results[index] = WrongSize(keys[index], size=found.size, wanted=len(view))
                else:
                    frames.readinto(view)
                    try:
                        self._check(found, view)
                        results[index] = None
                    except DigestMismatch as error:
                        results[index] = error
                at = index + 1
        except VitrineError as error:
            results[at:] = [error] * (len(keys) - at)
        return results

    def batch_put(self, items: Sequence[Put]) -> list[Outcome]:
        """
        Stores up to 10 000 objects in one request; each has an outcome of its own. If the request as a whole fails,
        those that the server had received by then are stored.
        """
        heads = [
            frame_head({"key": item.key, "headers": put_fields(item).headers(item)}, length(item.body))
            for item in items
        ]
        total = sum(len(head) + length(item.body) for head, item in zip(heads, items, strict=True))
        headers = {"Content-Type": FRAMES_TYPE, "Content-Length": str(total)}

        def parts() -> Iterator[bytes | memoryview]:
            for head, item in zip(heads, items, strict=True):
                yield head
                yield memoryview(item.body).cast("B")

        def once() -> list[Outcome]:
            answer = self._send("POST", "/v1/batch/put", headers, in_blocks(parts()))
            return outcomes(self._json_of(answer), [item.key for item in items], is_put=True)

        return self._repeated(once, is_write=True)

    def batch_delete(self, keys: Sequence[str]) -> list[Outcome]:
        """Deletes up to 10 000 objects in one request; a key that was not there has a refusal with status 404."""
        body: dict[str, object] = {"keys": list(keys)}
        return self._repeated(
            lambda: outcomes(self._json("POST", "/v1/batch/delete", body), keys, is_put=False), is_write=True
        )

    # How it is done

    def _identity(self, tenant: str) -> dict[str, str | bytes]:
        # HTTP drops spaces at the ends: "a " would be "a".
        if len(tenant) > 128 or not tenant.isascii() or not tenant.isprintable() or tenant != tenant.strip():
            raise ValueError(f"name tenant: not up to 128 printable ASCII characters: {tenant!r}")
        fields: dict[str, str | bytes] = {"User-Agent": "vitrine-cache/0.1.0"}
        if self._token is not None:
            fields["Authorization"] = f"Bearer {self._token}"
        if tenant:
            fields["Vitrine-Tenant"] = tenant
        return fields

    def _object(self, key: str) -> str:
        if not key:
            raise ValueError("name object: an empty key")
        # Proxies resolve dot segments and merge slashes, unless the slash itself is encoded.
        is_plain = all(segment not in ("", ".", "..") for segment in key.split("/"))
        return "/v1/objects/" + quote(key, safe="/" if is_plain else "")

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Iterable[bytes | memoryview] | None = None,
    ) -> Answer:
        return self._pool.send(method, self._base + path, {**self._fields, **headers}, body)

    def _open(
        self, key: str, start: int | None, end: int | None, if_match: str | None, if_none_match: str | None
    ) -> Reader | None:
        wanted = range_field(start, end)
        headers = {**conditions(if_match, if_none_match), **({} if wanted is None else {"Range": wanted})}
        answer = self._send("GET", self._object(key), headers)
        try:
            if answer.status not in (200, 206):
                self._absent(answer)
                return None
            if answer.status != (200 if wanted is None else 206):
                raise BrokenAnswer(f"read object: status {answer.status} to a request with {headers}")
            size, at, body_length = size_of(answer.headers)
            if wanted is not None and (at, body_length) != part(start, end, size):
                raise BrokenAnswer(
                    f"read object: bytes {at}-{at + body_length - 1} of {size} to a request with {headers}"
                )
            return Reader(answer, info_of(key, answer.headers, size), start=at, length=body_length, verify=self._verify)
        except BaseException:
            answer.close()
            raise

    def _put(self, key: str, pieces: Iterable[bytes | memoryview], fields: Mapping[str, str]) -> Stored:
        answer = self._send("PUT", self._object(key), fields, pieces)
        try:
            if answer.status not in (200, 201):
                raise self._refusal(answer)
            etag = answer.headers.get("etag")
            if etag is None:
                raise BrokenAnswer("store object: an answer without an ETag")
            answer.read()
            answer.finish()
            return Stored(etag, answer.status == 201)
        finally:
            answer.close()

    def _json(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        if body is None:
            return self._json_of(self._send(method, path, {}))
        text = json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(text))}
        return self._json_of(self._send(method, path, headers, [text]))

    def _json_of(self, answer: Answer) -> dict[str, Any]:
        try:
            if answer.status != 200:
                raise self._refusal(answer)
            text = answer.read()
            answer.finish()
        finally:
            answer.close()
        try:
            value = json.loads(text)
        except ValueError as error:
            raise BrokenAnswer(f"parse answer: not JSON: {text[:100]!r}") from error
        if not isinstance(value, dict):
            raise BrokenAnswer(f"parse answer: no object: {text[:100]!r}")
        return value

    def _frames(
        self, keys: Sequence[str], stop_at_miss: bool, lease: Lease | None
    ) -> Iterator[tuple[int, dict[str, Any], FrameReader]]:
        """The header of each key's frame, and where its body is read before the next."""
        asked: dict[str, object] = {"keys": list(keys), "stop_at_miss": stop_at_miss}
        if lease is not None:
            asked["lease"] = lease.id
        text = json.dumps(asked, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(text))}

        def begin() -> Answer:
            answer = self._send("POST", "/v1/batch/get", headers, [text])
            if answer.status != 200:
                raise self._refusal(answer)
            return answer

        answer = self._repeated(begin)
        try:
            frames = FrameReader(answer)
            for index, key in enumerate(keys):
                header = frames.head()
                if header is None:
                    raise BrokenAnswer(f"read batch: {index} objects of {len(keys)}")
                if header.get("key") != key:
                    raise BrokenAnswer(f"read batch: {header.get('key')!r} where {key!r} was asked for")
                yield index, header, frames
                if stop_at_miss and header.get("status") != 200:
                    break
            if frames.head() is not None:
                raise BrokenAnswer(f"read batch: more objects than the {len(keys)} that were asked for")
            answer.finish()
            if lease is not None:
                lease.is_released = True
        finally:
            answer.close()

    def _check(self, info: ObjectInfo, body: memoryview) -> None:
        if self._verify and info.sha256 is not None and hashlib.sha256(body).digest() != info.sha256:
            raise DigestMismatch(f"read object: {info.key!r} has another SHA-256 than it was stored with")

    def _absent(self, answer: Answer, *, is_read: bool = True) -> None:
        """Returns for a miss; raises for everything else that is no success."""
        if answer.status == 304:
            answer.read()
            answer.finish()
            raise NotModified("read object: it is still that one")
        refusal = self._refusal(answer)
        # The 404 of another server, or of a wrong path, is no miss.
        is_vitrine = "vitrine" in answer.headers.get("cache-status", "") if is_read else refusal.type == _NOT_FOUND
        if answer.status != 404 or not is_vitrine:
            raise refusal

    def _refusal(self, answer: Answer) -> Refused:
        """The refusal that an answer is; it is read and finished."""
        try:
            with contextlib.suppress(VitrineError):
                body = answer.read(_MAX_PROBLEM_BYTES)
                # Reads the end, where there is one.
                answer.readinto(memoryview(bytearray(1)))
                answer.finish()
                return refusal_of_answer(answer.status, answer.headers, body)
            return refusal_of_answer(answer.status, answer.headers, b"")
        finally:
            answer.close()

    def _repeated(self, once: Callable[[], Result], *, is_write: bool = False) -> Result:
        for attempt in range(self._retries + 1):
            is_last = attempt == self._retries
            wait = _FIRST_WAIT_SECONDS * 2**attempt * random.uniform(0.5, 1.5)
            try:
                return once()
            except Refused as refusal:
                is_over = refusal.type in _NOT_BEGUN or (not is_write and refusal.status in (429, 503))
                if is_last or not is_over or (refusal.retry_after or 0) > self._pool.timeout:
                    raise
                wait = max(wait, refusal.retry_after or 0)
            except NotSent:
                if is_last:
                    raise
            except (ConnectionFailed, BrokenAnswer) as error:
                # What is silent once is slow, and what has the wrong bytes has them again.
                if is_last or is_write or isinstance(error, (TimedOut, DigestMismatch)):
                    raise
                wait = 0 if attempt == 0 else wait
            time.sleep(wait)
        raise AssertionError("unreachable")
