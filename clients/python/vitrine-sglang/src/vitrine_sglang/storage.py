"""The backend."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from sglang.srt.mem_cache.hicache_storage import HiCacheStorage
from vitrine_cache import Cache, KeyLocks, Lease, NotFound, Put, VitrineError

logger = logging.getLogger(__name__)

# A request carries small pages up to this size together; a larger page goes alone, over a connection of its own.
_REQUEST_BYTES = 4 * 1024 * 1024
# The server takes no more keys in one request.
_MAX_KEYS = 10_000


class VitrineStorage(HiCacheStorage):  # type: ignore[misc, unused-ignore]
    """
    Keeps SGLang's pages in Vitrine. `extra_config` has the fields

    - base_url (str): the server, such as http://127.0.0.1:8080 (required)
    - prefix (str): what all keys begin with (default "sglang/")
    - tenant (str): whose keys they are (default "")
    - token_file (str): file with the token (default none)
    - num_workers (int): requests at a time (default 8)
    - timeout (float): the longest silence of the server in seconds (default 30)
    - lease_seconds (int): how long pages that were found are kept for the read that follows, 0: not at all (default 30)
    - digest (bool): SHA-256 of every page, checked by the server and by each reader (default false)

    and those of the factory: backend_name, module_path, class_name, interface_v1. Models with several pools (the
    interface v2: Mamba, sliding windows) are not for it. What fails is a miss or a page that is not stored, and is
    logged.
    """

    def __init__(self, storage_config: Any, kwargs: object = None) -> None:
        given = storage_config.extra_config or {}
        if not isinstance(given.get("base_url"), str):
            raise ValueError("extra_config: base_url must be a URL such as http://127.0.0.1:8080")
        workers = int(given.get("num_workers", 8))
        token_file = given.get("token_file")
        self._lease_seconds = int(given.get("lease_seconds", 30))
        self._digest = bool(given.get("digest", False))
        self._scope = str(given.get("prefix", "sglang/")) + _scope(storage_config)
        self._layout = ""
        self._cache = Cache(
            given["base_url"],
            token=None if token_file is None else Path(token_file).read_text().strip(),
            tenant=str(given.get("tenant", "")),
            timeout=float(given.get("timeout", 30.0)),
            connections=workers,
        )
        self._pool = ThreadPoolExecutor(workers, "vitrine-hicache")
        self._locks = KeyLocks(self._release)

    def register_mem_pool_host(self, mem_pool_host: Any) -> None:
        super().register_mem_pool_host(mem_pool_host)
        # Pages of another type or layout may have the same size.
        parts = (getattr(mem_pool_host, name, None) for name in ("dtype", "layout", "page_size"))
        self._layout = "".join(f"{part}/".replace("torch.", "") for part in parts if part is not None)

    # Pages in the host's pool

    def batch_get_v1(self, keys: Sequence[str], host_indices: Any, extra_info: object = None) -> list[bool]:
        pages = self._pages(host_indices)
        # Pages of several buffers are read into memory of their own, and copied when all of a page is there.
        targets = [page[0] if len(page) == 1 else memoryview(bytearray(sum(map(len, page)))) for page in pages]
        found = self._read(keys, targets)
        for page, target, good in zip(pages, targets, found, strict=True):
            if not good or len(page) == 1:
                continue
            at = 0
            for buffer in page:
                buffer[:] = target[at : at + len(buffer)]
                at += len(buffer)
        return found

    def batch_set_v1(self, keys: Sequence[str], host_indices: Any, extra_info: object = None) -> list[bool]:
        pages = self._pages(host_indices)
        return self._write(keys, [page[0] if len(page) == 1 else memoryview(b"".join(page)) for page in pages])

    # Pages in tensors

    def get(self, key: str, target_location: Any = None, target_sizes: object = None) -> Any:
        [found] = self.batch_get([key], None if target_location is None else [target_location])
        return found

    def batch_get(self, keys: Sequence[str], target_locations: Any = None, target_sizes: object = None) -> list[Any]:
        if target_locations is None:
            return [self._read_new(key) for key in keys]
        targets = [tensor if tensor.is_contiguous() else torch.empty_like(tensor) for tensor in target_locations]
        found = self._read(keys, [_bytes_of(tensor) for tensor in targets])
        for given, target, good in zip(target_locations, targets, found, strict=True):
            if good and given is not target:
                given.copy_(target)
        return [tensor if good else None for tensor, good in zip(target_locations, found, strict=True)]

    def set(self, key: str, value: Any = None, target_location: Any = None, target_sizes: object = None) -> bool:
        return self.batch_set([key], [value if value is not None else target_location])

    def batch_set(
        self, keys: Sequence[str], values: Any = None, target_locations: Any = None, target_sizes: object = None
    ) -> bool:
        pages = values if values is not None else target_locations
        return all(self._write(keys, [_bytes_of(page.contiguous()) for page in pages]))

    # Which pages there are

    def exists(self, key: str) -> bool:
        return self.batch_exists([key]) == 1

    def batch_exists(self, keys: Sequence[str], extra_info: object = None) -> int:
        names = [self._name(key) for key in keys]
        leading = 0
        try:
            for at in range(0, len(names), _MAX_KEYS):
                some = names[at : at + _MAX_KEYS]
                if self._lease_seconds == 0:
                    found = self._cache.lookup(some).leading
                else:
                    lease = self._cache.lease(some, self._lease_seconds)
                    found = lease.found.leading
                    self._locks.add(lease, some[:found], self._lease_seconds)
                leading += found
                if found < len(some):
                    break
        except VitrineError as error:
            logger.warning("look up pages: %r", error)
        return leading

    def clear(self) -> None:
        """Removes this model's and rank's pages, whatever their layout."""
        try:
            names = [found.key for found in self._cache.list_objects(self._scope)]
            for at in range(0, len(names), _MAX_KEYS):
                self._cache.batch_delete(names[at : at + _MAX_KEYS])
        except VitrineError as error:
            logger.warning("clear pages: %r", error)

    def close(self) -> None:
        """Waits for what is being read and written."""
        self._pool.shutdown(wait=True)
        for lease in self._locks.leases():
            self._release(lease)
        self._cache.close()

    # How it is done

    def _name(self, key: str) -> str:
        return f"{self._scope}{self._layout}{key}"

    def _release(self, lease: Lease) -> None:
        try:
            lease.release()
        except VitrineError as error:
            logger.warning("release a lease: %r", error)

    def _pages(self, host_indices: Any) -> list[list[memoryview]]:
        """The buffers of each page, in the host's memory."""
        addresses, sizes = self.mem_pool_host.get_page_buffer_meta(host_indices)
        count = len(host_indices) // self.mem_pool_host.page_size
        if isinstance(sizes, int):
            sizes = [sizes] * len(addresses)
        buffers = [
            memoryview((ctypes.c_ubyte * size).from_address(address)).cast("B")
            for address, size in zip(addresses, sizes, strict=True)
        ]
        each = len(buffers) // count
        return [buffers[at * each : (at + 1) * each] for at in range(count)]

    def _read_new(self, key: str) -> Any:
        try:
            found = self._cache.get(self._name(key))
        except VitrineError as error:
            logger.warning("read page: %r", error)
            return None
        finally:
            self._locks.unlock([self._name(key)])
        return None if found is None else torch.frombuffer(bytearray(found.body), dtype=torch.uint8)

    def _read(self, keys: Sequence[str], targets: Sequence[memoryview]) -> list[bool]:
        names = [self._name(key) for key in keys]
        found = [False] * len(keys)

        def read(indexes: Sequence[int]) -> None:
            some = [names[index] for index in indexes]
            errors = self._cache.batch_get_into(some, [targets[index] for index in indexes])
            for index, error in zip(indexes, errors, strict=True):
                found[index] = error is None
                if error is not None and not isinstance(error, NotFound):
                    logger.warning("read page: %r", error)

        self._run(read, targets)
        self._locks.unlock(names)
        return found

    def _write(self, keys: Sequence[str], bodies: Sequence[memoryview]) -> list[bool]:
        stored = [False] * len(keys)

        def write(indexes: Sequence[int]) -> None:
            items = [Put(self._name(keys[index]), bodies[index], digest=self._digest) for index in indexes]
            for index, outcome in zip(indexes, self._cache.batch_put(items), strict=True):
                stored[index] = outcome.refusal is None
                if outcome.refusal is not None:
                    logger.warning("store page: %r", outcome.refusal)

        self._run(write, bodies)
        return stored

    def _run(self, work: Callable[[Sequence[int]], None], bodies: Sequence[memoryview]) -> None:
        """Runs `work` for all indexes, many small pages at once and large ones side by side."""
        for future in [self._pool.submit(work, some) for some in _slices(bodies)]:
            try:
                future.result()
            except VitrineError as error:
                logger.warning("move pages: %r", error)


def _scope(config: Any) -> str:
    """The model and the share of it that a rank holds. Ranks of an MLA model hold the same, and share keys."""
    parts = [(config.model_name or "model").replace("/", "-")]
    if not config.is_mla_model:
        parts.append(f"tp{config.tp_rank}of{config.tp_size}")
    if config.pp_size > 1:
        parts.append(f"pp{config.pp_rank}of{config.pp_size}")
    if config.attn_cp_size > 1:
        parts.append(f"cp{config.attn_cp_rank}of{config.attn_cp_size}")
    if getattr(config, "dcp_size", 1) > 1:
        parts.append(f"tp{config.tp_size}dcp{config.dcp_rank}of{config.dcp_size}page{config.logical_page_size}")
    return "/".join(parts) + "/"


def _bytes_of(tensor: Any) -> memoryview:
    # As bytes, because numpy has no bfloat16.
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy()).cast("B")


def _slices(bodies: Sequence[memoryview]) -> Iterator[Sequence[int]]:
    some: list[int] = []
    size = 0
    for index, body in enumerate(bodies):
        if some and (len(some) == _MAX_KEYS or size + len(body) > _REQUEST_BYTES):
            yield some
            some, size = [], 0
        some.append(index)
        size += len(body)
    if some:
        yield some
