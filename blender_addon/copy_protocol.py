# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the protocol into the extension: python blender_addon/copy_protocol.py

``backend/uvatar/protocol`` (Apache-2.0, which GPL-3.0 may include) is its only source. The extension imports neither
the backend nor anything else that Blender does not bring, so a copy lies in it; git does not keep the copy. A source
distribution of the extension has the copy and not the source.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "backend" / "uvatar" / "protocol"
LICENSE = HERE.parent / "LICENSE"
COPY = HERE / "uvatar_blender" / "protocol"


def copy_protocol() -> Path:
    """Bring the copy up to date; returns its folder. Files that are right are left alone.

    Raises FileNotFoundError where there is neither the source nor a copy.
    """
    if not SOURCE.is_dir():
        if (COPY / "__init__.py").is_file():
            return COPY
        raise FileNotFoundError(f"Neither {SOURCE} nor a copy of it in {COPY} exists.")
    COPY.mkdir(exist_ok=True)
    source = {path.name: path.read_bytes() for path in SOURCE.glob("*.py")}
    source[LICENSE.name] = LICENSE.read_bytes()  # Apache-2.0 asks for its text beside every copy
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
