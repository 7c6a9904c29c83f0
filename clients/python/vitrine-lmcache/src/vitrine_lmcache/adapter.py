"""The adapter."""

from __future__ import annotations

import hashlib
import itertools
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lmcache.lmcache_native import Bitmap
from lmcache.v1.distributed.internal_api import L2StoreResult
from lmcache.v1.distributed.l2_adapters.base import L2AdapterInterface
from lmcache.v1.distributed.l2_adapters.config import L2AdapterConfigBase
from vitrine_cache import BrokenAnswer, Cache, ConnectionFailed, KeyLocks, NotFound, Put, Refused, TimedOut, WrongSize

from .tasks import Tasks

logger = logging.getLogger(__name__)

# The server takes no more keys in one request.
_MAX_KEYS = 10_000
# A request carries small chunks up to this size together; a larger chunk goes alone, over a connection of its own.
_REQUEST_BYTES = 4 * 1024 * 1024
_HASHED = "sha256:"


class VitrineL2AdapterConfig(L2AdapterConfigBase):  # type: ignore[misc, unused-ignore]
    """
    - base_url (str): the server, such as http://127.0.0.1:8080 (required)
    - prefix (str): what all keys begin with (default "lmcache/")
    - token_file (str): file with the token (default none); it needs read, write, delete and any_tenant
    - num_workers (int): requests at a time (default 8)
    - timeout (float): the longest silence of the server in seconds (default 30)
    - lease_seconds (int): how long a lookup keeps what it found, 1-600; 0: not at all (default 60)
    - digest (bool): SHA-256 of every chunk, checked by the server and by each reader (default false)
    """

    def __init__(
        self,
        base_url: str,
        prefix: str = "lmcache/",
        token_file: str | None = None,
        num_workers: int = 8,
        timeout: float = 30.0,
        lease_seconds: int = 60,
        digest: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(num_workers, int) or num_workers < 1:
            raise ValueError(f"num_workers must be at least 1: {num_workers!r}")
        if not isinstance(lease_seconds, int) or not 0 <= lease_seconds <= 600:
            raise ValueError(f"lease_seconds must be a number from 0 to 600: {lease_seconds!r}")
        self.base_url = base_url
        self.prefix = prefix
        self.token_file = token_file
        self.num_workers = num_workers
        self.timeout = timeout
        self.lease_seconds = lease_seconds
        self.digest = digest

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> VitrineL2AdapterConfig:
        if not isinstance(d.get("base_url"), str):
            raise ValueError("base_url must be a URL such as http://127.0.0.1:8080")
        known = ("base_url", "prefix", "token_file", "num_workers", "timeout", "lease_seconds", "digest")
        # What the base class reads by itself.
        ignored = ("type", "eviction", "persist", "serde", "shared", "affinity_tag")
        unknown = [name for name in d if name not in (*known, *ignored)]
        if unknown:
            raise ValueError(f"adapter_params: unknown: {', '.join(unknown)}")
        return cls(**{name: d[name] for name in known if name in d})

    @classmethod
    def help(cls) -> str:
        return cls.__doc__ or ""


class VitrineL2Adapter(L2AdapterInterface):  # type: ignore[misc, unused-ignore]
    """
    Keeps LMCache's chunks in Vitrine. A chunk's `cache_salt` is its tenant, so that tenants, their quotas and their
    metrics are the server's. A lookup is one request for each salt, and leases what it finds; small chunks are stored
    and loaded many in one request. The server evicts by itself. No method raises for what the server or the network
    does.
    """

    def __init__(self, config: VitrineL2AdapterConfig, l1_memory_desc: object = None) -> None:
        super().__init__()
        token = None if config.token_file is None else Path(config.token_file).read_text().strip()
        self._config = config
        self._cache = Cache(config.base_url, token=token, timeout=config.timeout, connections=config.num_workers)
        self._pool = ThreadPoolExecutor(config.num_workers, "vitrine-l2")
        ids = itertools.count().__next__
        self._stores, self._lookups, self._loads = (Tasks(self._pool, ids) for _ in range(3))
        self._locks = KeyLocks(lambda lease: self._run_later(lease.release))
        self._lock = threading.Lock()
        self._sizes: dict[Any, int] = {}
        self._counts: Counter[str] = Counter()
        self._last_error: str | None = None
        self._is_healthy = True

    # Tasks

    def submit_store_task(self, keys: Sequence[Any], objects: Sequence[Any]) -> int:
        bodies = [_view(item) for item in objects]
        stored = [False] * len(keys)

        def store(tenant: str, indexes: Sequence[int]) -> None:
            cache = self._cache.for_tenant(tenant)
            items = [Put(self._name(keys[index]), bodies[index], digest=self._config.digest) for index in indexes]
            if len(items) == 1:
                again(lambda: cache.put(items[0].key, items[0].body, digest=self._config.digest))
                stored[indexes[0]] = True
                return
            for index, outcome in zip(indexes, again(lambda: cache.batch_put(items)), strict=True):
                stored[index] = outcome.refusal is None
                if outcome.refusal is not None:
                    self._failed(outcome.refusal)

        def again(call: Callable[[], Any]) -> Any:
            # A chunk's key names its content: to store it once more changes nothing.
            try:
                return call()
            except TimedOut:
                raise
            except ConnectionFailed:
                return call()

        def result() -> L2StoreResult:
            done = [index for index, good in enumerate(stored) if good]
            with self._lock:
                new = [index for index in done if keys[index] not in self._sizes]
                self._sizes.update({keys[index]: len(bodies[index]) for index in new})
                self._counts["stored"] += len(done)
                self._counts["store_failed"] += len(keys) - len(done)
            if new:
                self._notify_keys_stored([keys[index] for index in new], [len(bodies[index]) for index in new])
            return L2StoreResult(len(done) == len(keys), sum(len(bodies[index]) for index in done))

        return self._stores.submit(self._parts(keys, bodies, store), result)

    def submit_lookup_and_lock_task(self, keys: Sequence[Any], group_layout_descs: object) -> int:
        found = [False] * len(keys)

        def look_up(tenant: str, indexes: Sequence[int]) -> None:
            cache = self._cache.for_tenant(tenant)
            names = [self._name(keys[index]) for index in indexes]
            seconds = self._config.lease_seconds
            if seconds == 0:
                hits = cache.lookup(names).found
            else:
                lease = cache.lease(names, seconds)
                hits = lease.found.found
                self._locks.add(lease, [keys[index] for index, hit in zip(indexes, hits, strict=True) if hit], seconds)
            for index, hit in zip(indexes, hits, strict=True):
                found[index] = hit

        def result() -> Bitmap:
            hits = [key for key, hit in zip(keys, found, strict=True) if hit]
            with self._lock:
                self._counts["lookup_hits"] += len(hits)
                self._counts["lookup_misses"] += len(keys) - len(hits)
            if hits:
                self._notify_keys_accessed(hits)
            return _bits(found)

        return self._lookups.submit(self._parts(keys, None, look_up), result)

    def submit_load_task(self, keys: Sequence[Any], objects: Sequence[Any]) -> int:
        buffers = [_view(item) for item in objects]
        loaded = [False] * len(keys)

        def load(tenant: str, indexes: Sequence[int]) -> None:
            cache = self._cache.for_tenant(tenant)
            names = [self._name(keys[index]) for index in indexes]
            if len(names) == 1:
                loaded[indexes[0]] = cache.get_into(names[0], buffers[indexes[0]]) is not None
                return
            # What a broken connection has cut off is asked for once more.
            for attempt in range(2):
                errors = cache.batch_get_into(names, [buffers[index] for index in indexes])
                left = []
                for index, name, error in zip(indexes, names, errors, strict=True):
                    loaded[index] = error is None
                    if error is not None and not isinstance(error, (NotFound, WrongSize, TimedOut)):
                        self._failed(error)
                        left.append((index, name))
                if not left or attempt == 1:
                    return
                indexes, names = [index for index, _ in left], [name for _, name in left]

        def result() -> Bitmap:
            with self._lock:
                self._counts["loaded"] += sum(loaded)
                self._counts["load_failed"] += len(keys) - sum(loaded)
            return _bits(loaded)

        return self._loads.submit(self._parts(keys, buffers, load), result)

    def pop_completed_store_tasks(self) -> dict[int, L2StoreResult]:
        return self._stores.take_all()

    def query_lookup_and_lock_result(self, task_id: int) -> Bitmap | None:
        return self._lookups.take(task_id)

    def query_load_result(self, task_id: int) -> Bitmap | None:
        return self._loads.take(task_id)

    def submit_unlock(self, keys: Sequence[Any]) -> None:
        self._locks.unlock(keys)

    def delete(self, keys: Sequence[Any]) -> None:
        gone: list[Any] = []

        def remove(tenant: str, indexes: Sequence[int]) -> None:
            outcomes = self._cache.for_tenant(tenant).batch_delete([self._name(keys[index]) for index in indexes])
            for index, outcome in zip(indexes, outcomes, strict=True):
                if outcome.refusal is None or isinstance(outcome.refusal, NotFound):
                    gone.append(keys[index])
                else:
                    self._failed(outcome.refusal)

        for part in self._parts(keys, None, remove):
            part()
        with self._lock:
            sizes = [(key, self._sizes.pop(key)) for key in gone if key in self._sizes]
        if sizes:
            self._notify_keys_deleted([key for key, _ in sizes], [size for _, size in sizes])

    # The rest

    def get_store_event_fd(self) -> int:
        return self._stores.fileno()

    def get_lookup_and_lock_event_fd(self) -> int:
        return self._lookups.fileno()

    def get_load_event_fd(self) -> int:
        return self._loads.fileno()

    def get_memory_tags(self) -> Any:
        """From LMCache 0.5.7 on: where the bytes are. 0.5.6 does not know these names, and does not ask."""
        from lmcache.v1.distributed.api import (  # type: ignore[attr-defined, unused-ignore]
            MemoryResidency,
            MemorySegment,
            MemoryTags,
        )

        return MemoryTags(MemorySegment.STORAGE, MemoryResidency.REMOTE)

    def report_status(self) -> dict[str, Any]:
        with self._lock:
            return {
                "is_healthy": self._is_healthy,
                "type": "VitrineL2Adapter",
                "base_url": self._config.base_url,
                "leases": len(self._locks.leases()),
                "last_error": self._last_error,
                "counts": dict(self._counts),
            }

    def close(self) -> None:
        # Memory that is being read into is the caller's: it is given back when nobody writes to it any more.
        self._pool.shutdown(wait=True)
        for lease in self._locks.leases():
            self._try(lease.release)
        self._cache.close()
        for tasks in (self._stores, self._lookups, self._loads):
            tasks.close()

    # How it is done

    def _name(self, key: Any) -> str:
        return f"{self._config.prefix}{key.model_name}@{key.kv_rank:08x}@{key.object_group_id:x}@{key.chunk_hash.hex()}"

    def _parts(
        self,
        keys: Sequence[Any],
        bodies: Sequence[memoryview] | None,
        work: Callable[[str, Sequence[int]], None],
    ) -> list[Callable[[], None]]:
        """Requests that together are about all keys, each with keys of one tenant."""
        by_tenant: defaultdict[str, list[int]] = defaultdict(list)
        for index, key in enumerate(keys):
            by_tenant[tenant_of(key.cache_salt)].append(index)
        return [
            lambda tenant=tenant, some=some: self._try(lambda: work(tenant, some))  # type: ignore[misc]
            for tenant, indexes in by_tenant.items()
            for some in _slices(indexes, bodies)
        ]

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
            self._is_healthy = True
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        # A refusal is an answer of a server that works, if it is one of a Vitrine.
        works = isinstance(error, (WrongSize, BrokenAnswer)) or (
            isinstance(error, Refused) and error.type != "about:blank"
        )
        with self._lock:
            was_healthy, self._is_healthy = self._is_healthy, works
            self._last_error = repr(error)
        if was_healthy and not works:
            logger.warning("Vitrine at %s fails: %r", self._config.base_url, error)

    def _run_later(self, call: Callable[[], object]) -> None:
        try:
            self._pool.submit(self._try, call)
        except RuntimeError:
            # The pool is closed; close() releases what is held.
            self._try(call)


def tenant_of(salt: str) -> str:
    """The tenant of a salt: itself, or its hash where a header field cannot carry it. Two salts have two tenants."""
    is_plain = salt.isascii() and salt.isprintable() and salt == salt.strip() and len(salt) <= 128
    if is_plain and not salt.startswith(_HASHED):
        return salt
    return _HASHED + hashlib.sha256(salt.encode("utf-8", "surrogatepass")).hexdigest()


def _slices(indexes: Sequence[int], bodies: Sequence[memoryview] | None) -> Iterator[Sequence[int]]:
    some: list[int] = []
    size = 0
    for index in indexes:
        length = 0 if bodies is None else len(bodies[index])
        if some and (len(some) == _MAX_KEYS or size + length > _REQUEST_BYTES):
            yield some
            some, size = [], 0
        some.append(index)
        size += length
    if some:
        yield some


def _bits(results: Sequence[bool]) -> Bitmap:
    bits = Bitmap(len(results))
    for index, good in enumerate(results):
        if good:
            bits.set(index)
    return bits


def _view(item: Any) -> memoryview:
    return memoryview(item.byte_array).cast("B")
