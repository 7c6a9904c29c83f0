"""
Drives one of LMCache's L2 adapters through the life of some chunks and checks every byte; prints what was done as a
line of JSON, and ends with 1 at the first thing that is wrong.

    python adapter_cycle.py ADAPTER_JSON KIB
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lmcache.v1.distributed.api import ObjectKey
from lmcache.v1.distributed.internal_api import L1MemoryDesc
from lmcache.v1.distributed.l2_adapters import create_l2_adapter
from lmcache.v1.distributed.l2_adapters.config import parse_args_to_l2_adapters_config
from lmcache.v1.memory_management import MemoryFormat, MemoryObjMetadata, TensorMemoryObj
from lmcache.v1.platform import consume_fd

KEYS = 6
SALTS = ("", "alice", "bob")

size = int(sys.argv[2]) * 1024
arena = torch.zeros(2 * KEYS * size, dtype=torch.uint8)
counts = {"stored": 0, "lookup_hits": 0, "lookup_misses": 0, "loaded": 0, "load_failed": 0}


def buffer(slot: int) -> Any:
    raw = arena[slot * size : (slot + 1) * size]
    meta = MemoryObjMetadata(
        shape=torch.Size([size]),
        dtype=torch.uint8,
        address=raw.data_ptr(),
        phy_size=size,
        fmt=MemoryFormat.KV_2LTD,
        ref_count=1,
    )
    return TensorMemoryObj(raw, meta, parent_allocator=None)


def wait(fd: int, done: Callable[[], Any]) -> Any:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if poll.poll(200):
            consume_fd(fd)
        result = done()
        if result is not None:
            return result
    raise TimeoutError("no result in 60 s")


config = parse_args_to_l2_adapters_config(argparse.Namespace(l2_adapter=[sys.argv[1]])).adapters[0]
desc = L1MemoryDesc(ptr=arena.data_ptr(), size=arena.numel(), align_bytes=1)
adapter = create_l2_adapter(config, l1_memory_desc=desc)


def store(keys: Sequence[Any]) -> None:
    task = adapter.submit_store_task(keys, [buffer(slot) for slot in range(len(keys))])
    result = wait(adapter.get_store_event_fd(), lambda: adapter.pop_completed_store_tasks().get(task))
    assert result.is_successful(), "store"
    counts["stored"] += len(keys)


def lookup(keys: Sequence[Any]) -> list[bool]:
    task = adapter.submit_lookup_and_lock_task(keys, {})
    bits = wait(adapter.get_lookup_and_lock_event_fd(), lambda: adapter.query_lookup_and_lock_result(task))
    found = [bool(bits.test(at)) for at in range(len(keys))]
    counts["lookup_hits"] += sum(found)
    counts["lookup_misses"] += len(found) - sum(found)
    return found


def load(keys: Sequence[Any]) -> list[bool]:
    task = adapter.submit_load_task(keys, [buffer(KEYS + slot) for slot in range(len(keys))])
    bits = wait(adapter.get_load_event_fd(), lambda: adapter.query_load_result(task))
    found = [bool(bits.test(at)) for at in range(len(keys))]
    counts["loaded"] += sum(found)
    counts["load_failed"] += len(found) - sum(found)
    return found


def keys_of(salt: str) -> list[Any]:
    return [
        ObjectKey(chunk_hash=bytes([at]) * 16, model_name="org/model-7B", kv_rank=0x01000100, cache_salt=salt)
        for at in range(KEYS)
    ]


def main() -> None:
    wanted = {}
    for salt in SALTS:
        keys = keys_of(salt)
        assert not any(lookup(keys)), "chunks of another salt are found"
        arena[: KEYS * size] = torch.randint(0, 256, (KEYS * size,), dtype=torch.uint8)
        wanted[salt] = arena[: KEYS * size].clone()
        store(keys)
        assert all(lookup(keys)), "stored chunks are not found"
        adapter.submit_unlock(keys)
    for salt in SALTS:
        arena[KEYS * size :] = 0
        assert all(load(keys_of(salt))), "load"
        assert torch.equal(arena[KEYS * size :], wanted[salt]), "WRONG BYTES"
    first = keys_of("")
    absent = [ObjectKey(chunk_hash=os.urandom(16), model_name="org/model-7B", kv_rank=1) for _ in range(2)]
    mixed = [first[0], absent[0], first[1], absent[1]]
    assert lookup(mixed) == [True, False, True, False], "a mixed lookup"
    arena[KEYS * size :] = 0
    assert load(mixed) == [True, False, True, False], "a mixed load"
    assert not arena[(KEYS + 1) * size : (KEYS + 2) * size].any(), "a miss wrote"
    adapter.submit_unlock(first[:2])
    for salt in SALTS:
        adapter.delete(keys_of(salt))
        assert not any(lookup(keys_of(salt))), "deleted chunks are found"
    status = adapter.report_status()
    adapter.close()
    assert status["is_healthy"], status
    print(json.dumps({"counts": counts, "status": status.get("counts"), "leases": status.get("leases", 0)}))


main()
sys.stdout.flush()
# The threads of LMCache's S3 client outlive the adapter.
os._exit(0)
