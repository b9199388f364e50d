# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies the protocol into the extension. Run it with ``python blender_addon/copy_protocol.py``.

The only source is ``backend/uvatar/protocol`` (Apache-2.0, which GPL-3.0 code may include). The extension cannot import
the backend or anything else that Blender does not bring, so it carries a copy, which git ignores. A source distribution
of the extension has the copy only.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "backend" / "uvatar" / "protocol"
LICENSE = HERE.parent / "LICENSE"
COPY = HERE / "uvatar_blender" / "protocol"


def copy_protocol() -> Path:
    """Bring the copy up to date, without touching files that are up to date already.

    Returns:
        The folder of the copy.

    Raises:
        FileNotFoundError: there is neither the source nor a copy.
    """
    if not SOURCE.is_dir():
        if (COPY / "__init__.py").is_file():
            return COPY
        raise FileNotFoundError(f"Neither {SOURCE} nor a copy of it in {COPY} exists.")
    COPY.mkdir(exist_ok=True)
    source = {path.name: path.read_bytes() for path in SOURCE.glob("*.py")}
    source[LICENSE.name] = LICENSE.read_bytes()  # Apache-2.0 requires its text beside every copy
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
