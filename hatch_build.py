"""Completes the metadata of the distribution ``uvatar``: its extras in this version, README for an index's page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")


class UvatarMetadata(MetadataHookInterface):
    """Fills in the fields that depend on the version or on where a page is shown."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling: ``{version}`` in extras is replaced, and relative links of README lead to the source."""
        metadata["optional-dependencies"] = {
            extra: [requirement.replace("{version}", metadata["version"]) for requirement in requirements]
            for extra, requirements in self.config["optional-dependencies"].items()
        }
        home, text = metadata["urls"]["Homepage"], Path(self.root, "README.md").read_text(encoding="utf-8")
        text = _RELATIVE.sub(lambda found: f"{found[1]}[{found[2]}]({_address(home, found[1], found[3])})", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def _address(home: str, picture: str, path: str) -> str:
    return f"{home}/{'raw' if picture else 'blob'}/main/{path}"
