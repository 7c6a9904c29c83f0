"""An SGLang HiCache storage backend (`--hicache-storage-backend dynamic`) that keeps pages in Vitrine."""

from .storage import VitrineStorage

__all__ = ["VitrineStorage"]
