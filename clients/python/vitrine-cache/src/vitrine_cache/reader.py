"""An object's bytes as they arrive."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from .answers import ObjectInfo
from .connections import Answer
from .errors import BrokenAnswer, DigestMismatch

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Reader(io.RawIOBase):
    """
    A readable stream over an object's bytes, of use to one thread. The end of the stream is only reached if all bytes
    have arrived and have the digest they were stored with: otherwise a read raises BrokenAnswer or DigestMismatch.
    Close it, or use it in a `with` statement: it holds a connection.
    """

    def __init__(self, answer: Answer, info: ObjectInfo, *, start: int, length: int, verify: bool) -> None:
        super().__init__()
        self.info = info
        self.start = start
        self.length = length
        self._answer = answer
        self._left = length
        is_whole = length == info.size
        self._hash = hashlib.sha256() if verify and is_whole and info.sha256 is not None else None
        self._is_checked = False
        self._failure: BrokenAnswer | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if len(view) == 0:
            return 0
        if self._left == 0:
            self._check_end()
            return 0
        got = self._answer.readinto(view[: self._left])
        if got == 0:
            raise BrokenAnswer(f"read object: {self.info.key!r} ends {self._left} bytes early")
        self._left -= got
        if self._hash is not None:
            self._hash.update(view[:got])
        if self._left == 0:
            # The last bytes are not handed out before the digest of all is known.
            self._check_end()
        return got

    def readall(self) -> bytes:
        """All that is left."""
        whole = bytearray(self._left)
        self.fill(memoryview(whole))
        return bytes(whole)

    def fill(self, buffer: memoryview) -> None:
        """Fills all of `buffer`, and checks the end if it is reached."""
        at = 0
        while at < len(buffer):
            got = self.readinto(buffer[at:])
            if got == 0:
                raise BrokenAnswer(f"read object: {self.info.key!r} is shorter than {len(buffer)} bytes")
            at += got
        if self._left == 0:
            self._check_end()

    def close(self) -> None:
        self._answer.close()
        super().close()

    def _check_end(self) -> None:
        if self._is_checked:
            return
        if self._failure is None:
            # A chunked body has an end of its own after its last byte.
            if self._answer.readinto(memoryview(bytearray(1))) != 0:
                self._failure = BrokenAnswer(f"read object: {self.info.key!r} has more bytes than it says")
            elif self._hash is not None and self._hash.digest() != self.info.sha256:
                self._failure = DigestMismatch(
                    f"read object: {self.info.key!r} has another SHA-256 than it was stored with"
                )
        if self._failure is not None:
            self._answer.close()
            raise self._failure
        self._is_checked = True
        self._answer.finish()
