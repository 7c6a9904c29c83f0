"""Tasks that LMCache submits and asks for later, carried out by a pool of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lmcache.v1.platform import create_event_notifier


class Tasks:
    """Tasks of one kind: results by task, and a descriptor that is readable once there is a result."""

    def __init__(self, pool: ThreadPoolExecutor, ids: Callable[[], int]) -> None:
        self._pool = pool
        self._ids = ids
        self._lock = threading.Lock()
        self._results: dict[int, Any] = {}
        self._event = create_event_notifier()

    def fileno(self) -> int:
        return int(self._event.fileno())

    def submit(self, parts: Sequence[Callable[[], None]], result: Callable[[], Any]) -> int:
        """Runs the parts, none of which raises, side by side, and then `result`."""
        task = self._ids()
        left = len(parts)

        def finish() -> None:
            value = result()
            with self._lock:
                self._results[task] = value
            self._event.notify()

        def run(part: Callable[[], None]) -> None:
            nonlocal left
            try:
                part()
            finally:
                with self._lock:
                    left -= 1
                    is_last = left == 0
                if is_last:
                    finish()

        for part in parts:
            self._pool.submit(run, part)
        if not parts:
            self._pool.submit(finish)
        return task

    def take(self, task: int) -> Any:
        """The task's result, once; None before."""
        with self._lock:
            return self._results.pop(task, None)

    def take_all(self) -> dict[int, Any]:
        """All results that were not taken."""
        with self._lock:
            results, self._results = self._results, {}
        return results

    def close(self) -> None:
        self._event.close()
