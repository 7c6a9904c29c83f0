"""Client of Vitrine, the HTTP cache you can see into. `Cache` is where to begin."""

from .answers import BatchObject, CachedObject, Listed, Lookup, ObjectInfo, Outcome, Stored
from .client import Cache
from .errors import (
    BadRange,
    BadRequest,
    BrokenAnswer,
    ConnectionFailed,
    DigestMismatch,
    Forbidden,
    NoRoom,
    NotFound,
    NotModified,
    PreconditionFailed,
    Refused,
    TimedOut,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    VitrineError,
    WrongSize,
)
from .lease import Lease
from .locks import KeyLocks
from .reader import Reader
from .request_fields import Put

__all__ = [
    "BadRange",
    "BadRequest",
    "BatchObject",
    "BrokenAnswer",
    "Cache",
    "CachedObject",
    "ConnectionFailed",
    "DigestMismatch",
    "Forbidden",
    "KeyLocks",
    "Lease",
    "Listed",
    "Lookup",
    "NoRoom",
    "NotFound",
    "NotModified",
    "ObjectInfo",
    "Outcome",
    "PreconditionFailed",
    "Put",
    "Reader",
    "Refused",
    "Stored",
    "TimedOut",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "VitrineError",
    "WrongSize",
]
