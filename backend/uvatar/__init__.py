"""The local backend: everything between photo bytes and an avatar."""

__version__ = "0.1.0"
