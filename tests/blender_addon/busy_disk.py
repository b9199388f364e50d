"""A disk that is busy until it is told that it is not."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest


def hold_back_files(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Files get their names (`os.replace`) only when the event is set."""
    freed, replace = threading.Event(), os.replace

    def slow(*names: Any) -> None:
        assert freed.wait(10)
        replace(*names)

    monkeypatch.setattr(os, "replace", slow)
    return freed
