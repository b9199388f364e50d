# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on knows without Blender."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def _provide_wire() -> None:
    """Make ``core.wire``, the message format shared with the backend, importable.

    The built extension has ``wire.py`` in this folder (tools/build_addon.py copies it in). A source checkout and a
    Python environment hold it once, in the backend's package beside this one: load that very file, by its path, as
    ``core.wire``. The backend itself is not imported.
    """
    here = Path(__file__).resolve().parent
    shared = Path("uvatar", "protocol", "wire.py")
    candidates = (
        here.parents[1] / shared,
        here.parents[2] / "backend" / shared,
    )  # an environment's, a source checkout's
    source = next((path for path in candidates if path.exists()), None)
    if (here / "wire.py").exists() or source is None:
        return
    name = f"{__name__}.wire"
    spec = importlib.util.spec_from_file_location(name, source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


_provide_wire()
