"""Completes the metadata of the distribution ``uvatar-training``: it needs ``uvatar`` in its own version."""

from __future__ import annotations

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class DependenciesOfThisVersion(MetadataHookInterface):
    """Replaces ``{version}`` in the dependencies that ``[tool.hatch.metadata.hooks.custom]`` lists."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling."""
        metadata["dependencies"] = [
            requirement.replace("{version}", metadata["version"]) for requirement in self.config["dependencies"]
        ]
