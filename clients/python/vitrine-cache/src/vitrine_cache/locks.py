"""Locks of single keys, as engines have them, over leases, which hold what one lookup has found."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable

from .lease import Lease


class _Held:
    def __init__(self, lease: Lease, keys: int, until: float) -> None:
        self.lease = lease
        self.keys = keys
        self.until = until


class KeyLocks:
    """
    Which leases hold which keys. A lease whose last key is unlocked is released; one whose time is over is forgotten.
    """

    def __init__(self, release: Callable[[Lease], None]) -> None:
        self._release = release
        self._lock = threading.Lock()
        self._by_key: defaultdict[Hashable, deque[_Held]] = defaultdict(deque)
        self._all: deque[_Held] = deque()

    def add(self, lease: Lease, keys: Iterable[Hashable], seconds: float) -> None:
        """A lease that holds these keys. One without keys holds nothing that could be released."""
        found = list(keys)
        if not found:
            return
        held = _Held(lease, len(found), time.monotonic() + seconds)
        with self._lock:
            self._forget()
            self._all.append(held)
            for key in found:
                self._by_key[key].append(held)

    def unlock(self, keys: Iterable[Hashable]) -> None:
        """Ends the oldest lock of each key. Keys that are not locked are ignored."""
        done = []
        with self._lock:
            for key in keys:
                held = self._by_key.get(key)
                if not held:
                    continue
                first = held.popleft()
                if not held:
                    del self._by_key[key]
                first.keys -= 1
                if first.keys == 0:
                    done.append(first.lease)
        for lease in done:
            self._release(lease)

    def leases(self) -> list[Lease]:
        """The leases that are held."""
        with self._lock:
            self._forget()
            return [held.lease for held in self._all if held.keys > 0]

    def _forget(self) -> None:
        now = time.monotonic()
        over = set()
        while self._all and (self._all[0].keys == 0 or self._all[0].until < now):
            over.add(self._all.popleft())
        if not any(held.keys > 0 for held in over):
            return
        for key, held in list(self._by_key.items()):
            kept = deque(one for one in held if one not in over)
            if kept:
                self._by_key[key] = kept
            else:
                del self._by_key[key]
