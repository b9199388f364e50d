"""Photos of people -> rigged, textured avatars.

    import uvatar

    engine = uvatar.Engine.load()
    for avatar in engine.reconstruct("me.jpg"):
        avatar.save("out")

docs/python-api.md has more. Importing this package is cheap: what needs PyTorch is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from uvatar.protocol.version import __version__

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine
    from uvatar.files.avatar import Avatar
    from uvatar.protocol.errors import Code, UvatarError
    from uvatar.protocol.options import Options
    from uvatar.service.client import Client

_WHERE = {
    "Avatar": "uvatar.files.avatar",
    "Client": "uvatar.service.client",
    "Code": "uvatar.protocol.errors",
    "Engine": "uvatar.engine.engine",
    "Options": "uvatar.protocol.options",
    "UvatarError": "uvatar.protocol.errors",
}

__all__ = ["Avatar", "Client", "Code", "Engine", "Options", "UvatarError", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'uvatar' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_WHERE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
