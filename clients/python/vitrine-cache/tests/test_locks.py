from __future__ import annotations

import random
import unittest
from datetime import datetime, timezone

from vitrine_cache import KeyLocks, Lease, Lookup


def new_lease(name: str) -> Lease:
    return Lease(lambda _: None, name, datetime.now(timezone.utc), frozenset(), Lookup([], {}, {}))


class KeyLocksTest(unittest.TestCase):
    def test_a_lease_is_released_once_when_its_last_key_is_unlocked(self) -> None:
        for seed in range(200):
            rng = random.Random(seed)
            released: list[str] = []
            locks = KeyLocks(lambda lease, to=released: to.append(lease.id))  # type: ignore[misc]
            left: dict[str, list[str]] = {}
            order: dict[str, list[str]] = {}
            for step in range(40):
                if rng.random() < 0.5:
                    keys = rng.choices("abcde", k=rng.randint(1, 4))
                    locks.add(new_lease(str(step)), keys, 100)
                    left[str(step)] = keys
                    for key in keys:
                        order.setdefault(key, []).append(str(step))
                else:
                    keys = rng.choices("abcdef", k=rng.randint(0, 4))
                    locks.unlock(keys)
                    for key in keys:
                        if order.get(key):
                            left[order[key].pop(0)].remove(key)
                self.assertEqual(sorted(released), sorted(name for name, keys in left.items() if not keys), seed)
                self.assertEqual({lease.id for lease in locks.leases()}, {name for name, keys in left.items() if keys})

    def test_a_lease_whose_time_is_over_is_forgotten(self) -> None:
        released: list[Lease] = []
        locks = KeyLocks(released.append)
        locks.add(new_lease("old"), ["a", "b"], -1)
        locks.add(new_lease("new"), ["a"], 100)
        self.assertEqual([lease.id for lease in locks.leases()], ["new"])
        locks.unlock(["a", "b"])
        self.assertEqual([lease.id for lease in released], ["new"])
        locks.add(new_lease("empty"), [], 100)
        self.assertEqual(locks.leases(), [])
