"""What can go wrong. Everything that this package raises by itself is a `VitrineError` or a `ValueError`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class VitrineError(Exception):
    """The base of all errors of this package."""


class ConnectionFailed(VitrineError):
    """The server could not be reached, or ended the connection before its answer. A write may have been done or not."""


class TimedOut(ConnectionFailed):
    """The server was silent for longer than `timeout`."""


class BrokenAnswer(VitrineError):
    """The answer ended early or is not one of a Vitrine. What was read of it must not be used."""


class DigestMismatch(BrokenAnswer):
    """The bytes that arrived have another SHA-256 than those that were stored."""


class WrongSize(VitrineError):
    """The object has another size than the memory it was to be read into, of which nothing is changed."""

    def __init__(self, key: str, *, size: int, wanted: int) -> None:
        super().__init__(f"read object: {key!r} has {size} bytes instead of {wanted}")
        self.size = size
        self.wanted = wanted


class NotModified(VitrineError):
    """The object still has the ETag of `if_none_match`."""


class Refused(VitrineError):
    """
    The server's answer is a refusal (RFC 9457): `status`, `type` such as "/problems/no-room", `title`, `detail`,
    further members in `members`, and `retry_after` in seconds if the server named a time.
    """

    def __init__(
        self,
        *,
        status: int,
        type: str,  # The name that RFC 9457 gives it.
        title: str,
        detail: str,
        members: Mapping[str, Any],
        retry_after: float | None,
    ) -> None:
        super().__init__(f"{status} {type}: {detail or title}")
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.members = members
        self.retry_after = retry_after


class BadRequest(Refused):
    """400: a key, header or body that the server does not accept."""


class Unauthorized(Refused):
    """401: no token, or an unknown one."""


class Forbidden(Refused):
    """403: the token does not allow this."""


class NotFound(Refused):
    """404: no such object where one is needed, or no such path."""


class PreconditionFailed(Refused):
    """412: `if_match` or `if_none_match` does not hold."""


class TooLarge(Refused):
    """413: larger than the server accepts."""


class BadRange(Refused):
    """416: the range has no byte of the object."""


class TooManyRequests(Refused):
    """429: a limit of the tenant or of the address is reached."""


class Unavailable(Refused):
    """503: a tier failed, the server has too much to do, or it is stopping."""


class NoRoom(Refused):
    """507: no room even after eviction."""


_BY_STATUS: Mapping[int, type[Refused]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    412: PreconditionFailed,
    413: TooLarge,
    416: BadRange,
    429: TooManyRequests,
    503: Unavailable,
    507: NoRoom,
}
_FIELDS = ("status", "type", "title", "detail")


def refusal_of(status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> Refused:
    """The error of a refusal whose members are given."""
    return _BY_STATUS.get(status, Refused)(
        status=status,
        type=str(problem.get("type", "about:blank")),
        title=str(problem.get("title", "")),
        detail=str(problem.get("detail", "")),
        members={name: value for name, value in problem.items() if name not in _FIELDS},
        retry_after=retry_after,
    )


def refusal_of_answer(status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    """
    The error of an answer; `headers` have names in lower case. An answer of something else has its text as detail.
    """
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": "", "detail": body[:200].decode("utf-8", "replace")}
    return refusal_of(status, problem, _seconds(headers.get("retry-after", "")))


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None
