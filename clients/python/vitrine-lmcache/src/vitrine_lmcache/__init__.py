"""An LMCache L2 adapter (multiprocess mode, type "plugin") that keeps chunks in Vitrine."""

from .adapter import VitrineL2Adapter, VitrineL2AdapterConfig

__all__ = ["VitrineL2Adapter", "VitrineL2AdapterConfig"]
