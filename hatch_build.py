"""Completes the metadata of the distribution ``uvatar``: an extra names ``uvatar-blender`` in this very version."""

from __future__ import annotations

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ExtrasOfThisVersion(MetadataHookInterface):
    """Replaces ``{version}`` in the extras that ``[tool.hatch.metadata.hooks.custom]`` lists."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling."""
        metadata["optional-dependencies"] = {
            extra: [requirement.replace("{version}", metadata["version"]) for requirement in requirements]
            for extra, requirements in self.config["optional-dependencies"].items()
        }
