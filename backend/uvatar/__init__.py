"""The local backend: everything between photo bytes and an avatar."""

from uvatar.protocol.version import __version__

__all__ = ["__version__"]
