# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the protocol into the extension: python blender_addon/copy_protocol.py

``backend/uvatar/protocol`` (Apache-2.0, which GPL-3.0 may include) is its only source. The extension imports neither
the backend nor anything else that Blender does not bring, so a copy lies in it; git does not keep the copy.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "backend" / "uvatar" / "protocol"
COPY = HERE / "uvatar_blender" / "protocol"


def copy_protocol() -> Path:
    """Bring the copy up to date; returns its folder. Files that are right are left alone."""
    COPY.mkdir(exist_ok=True)
    source = {path.name: path.read_bytes() for path in SOURCE.glob("*.py")}
    for path in COPY.glob("*.py"):
        if path.name not in source:
            path.unlink()
    for name, data in source.items():
        copy = COPY / name
        if not copy.is_file() or copy.read_bytes() != data:
            copy.write_bytes(data)
    return COPY


if __name__ == "__main__":
    copy_protocol()
