"""A promise of the server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime

from .answers import Lookup
from .errors import VitrineError


class Lease:
    """
    What the server keeps in its memory until `expires`. `found` is the lookup; the objects of the keys whose index is
    in `refused` may be evicted at any time. It is released at the end of a `with` statement.
    """

    def __init__(
        self, release: Callable[[str], object], id: str, expires: datetime, refused: frozenset[int], found: Lookup
    ) -> None:
        self._release = release
        self.id = id
        self.expires = expires
        self.refused = refused
        self.found = found
        self.is_released = False

    def holds(self, index: int) -> bool:
        """Whether the object of this key is kept."""
        return "l1" in self.found.held[index] and index not in self.refused

    def release(self) -> None:
        """Gives the objects free. Does nothing the second time, nor after its end."""
        if not self.is_released:
            self.is_released = True
            self._release(self.id)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        # A lease that cannot be released ends with its time; the error of the block matters more.
        with contextlib.suppress(VitrineError):
            self.release()
