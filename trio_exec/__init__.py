"""trio-exec: runs untrusted code interactively in hardened, single-use Docker containers."""

__version__ = "0.1.0"
