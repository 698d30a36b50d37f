"""The version, where every part can have it."""

__version__ = "0.1.0"
