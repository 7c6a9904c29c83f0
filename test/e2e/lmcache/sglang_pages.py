"""
Drives SGLang's own storage classes over a Vitrine and checks every byte; prints what was done as a line of JSON. The
first argument is the folder of an unpacked sglang wheel, whose `__init__` asks for far more than these classes need.

    python sglang_pages.py FOLDER BASE_URL
"""

from __future__ import annotations

import json
import sys
import types
from unittest import mock

import torch

folder, base_url = sys.argv[1:3]
for name in ("sglang", "sglang.srt", "sglang.srt.mem_cache", "sglang.srt.mem_cache.storage"):
    package = types.ModuleType(name)
    package.__path__ = [f"{folder}/{name.replace('.', '/')}"]
    sys.modules[name] = package
# Settings and helpers of the engine, of which the storage needs none.
sys.modules["sglang.srt.environ"] = mock.MagicMock()

from sglang.srt.mem_cache.hicache_storage import HiCacheStorageConfig  # noqa: E402
from sglang.srt.mem_cache.storage.backend_factory import StorageBackendFactory  # noqa: E402

PAGE, PAGES = 4, 40


class Host:
    """A host pool as SGLang's for multi-head attention: keys and values of a page are two buffers."""

    page_size = PAGE
    dtype = torch.bfloat16
    layout = "page_first"

    def __init__(self) -> None:
        self.kv = torch.zeros(2, PAGE * PAGES, 8, 32, dtype=self.dtype)

    def get_page_buffer_meta(self, indices: torch.Tensor) -> tuple[list[int], list[int]]:
        size = PAGE * 8 * 32 * self.dtype.itemsize
        starts = [int(index) for index in indices[::PAGE]]
        return [self.kv[half, start].data_ptr() for start in starts for half in (0, 1)], [size] * 2 * len(starts)


def backend(rank: int, tenant: str, host: Host) -> object:
    config = HiCacheStorageConfig(
        tp_rank=rank,
        tp_size=2,
        pp_rank=0,
        pp_size=1,
        attn_cp_rank=0,
        attn_cp_size=1,
        is_mla_model=False,
        enable_storage_metrics=False,
        is_page_first_layout=True,
        model_name="org/model-7B",
        extra_config={
            "backend_name": "vitrine",
            "module_path": "vitrine_sglang",
            "class_name": "VitrineStorage",
            "interface_v1": 1,
            "base_url": base_url,
            "tenant": tenant,
            "digest": True,
        },
    )
    with mock.patch(
        "sglang.srt.mem_cache.storage.backend_factory._maybe_wrap_hicache_storage_failure_injector", lambda made: made
    ):
        made = StorageBackendFactory.create_backend("dynamic", config, host)
    made.register_mem_pool_host(host)
    return made


def main() -> None:
    host = Host()
    indices = torch.arange(PAGE * PAGES)
    keys = [f"{page:064x}" for page in range(PAGES)]
    stores = [backend(rank, tenant, host) for tenant in ("", "team") for rank in (0, 1)]
    wanted = []
    counts = {"hits": 0, "misses": 0}
    for seed, store in enumerate(stores):
        torch.manual_seed(seed)
        host.kv.copy_(torch.randn(host.kv.shape).to(host.dtype))
        wanted.append(host.kv.clone())
        assert store.batch_exists(keys) == 0, "pages of another rank or tenant are found"
        assert all(store.batch_set_v1(keys, indices)), "store"
    for want, store in zip(wanted, stores, strict=True):
        host.kv.zero_()
        assert store.batch_exists(keys) == PAGES, "stored pages are not found"
        assert all(store.batch_get_v1(keys, indices)), "load"
        assert torch.equal(host.kv, want), "WRONG BYTES"
        counts["hits"] += PAGES
    store = stores[0]
    mixed = [keys[0], "absent", keys[1]]
    host.kv.zero_()
    assert store.batch_exists(mixed) == 1
    assert store.batch_get_v1(mixed, indices[: 3 * PAGE]) == [True, False, True]
    assert torch.equal(host.kv[:, PAGE : 2 * PAGE], torch.zeros_like(host.kv[:, PAGE : 2 * PAGE])), "a miss wrote"
    counts["hits"] += 2
    counts["misses"] += 1
    page = torch.randn(100).to(torch.bfloat16)
    assert store.set("tensor", page)
    assert torch.equal(store.get("tensor", torch.empty_like(page)), page)
    assert store.get("tensor", torch.empty(7)) is None, "a page of another size was taken"
    counts["hits"] += 2
    store.clear()
    assert store.batch_exists(keys) == 0
    assert stores[1].batch_exists(keys) == PAGES, "clear removed another rank's pages"
    for each in stores:
        each.close()
    print(json.dumps(counts))


main()
