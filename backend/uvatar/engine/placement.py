"""The devices of the engine's networks, for results and for messages."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from uvatar.protocol.devices import AUTO, CPU, DEVICE_VARIABLE
from uvatar.runtime import versions
from uvatar.runtime.devices import NAMES, Placement

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine
    from uvatar.runtime.networks import Network

# The network of each stage in a result's timings. Other stages have none, or small networks that always run on the CPU:
# perception's networks, the parser and the pose lifter.
_NETWORK_OF_STAGE = {
    "predicting": "mesh_predictor",
    "texturing": "texture_predictor",
    "clothing and texturing": "texture_predictor",
}
_WORDS = {"mesh_predictor": "Mesh Predictor", "texture_predictor": "Texture Predictor"}


def placement_of(device: str | None, gpu: int, threads: int) -> Placement:
    """The placement of networks.

    Args:
        device: one of `uvatar.protocol.devices.DEVICES`; None uses the environment variable UVATAR_DEVICE, or "auto".
        gpu: index of the GPU if there are several, from 0.
        threads: number of CPU threads per run.

    Raises:
        DeviceError: there is no device of this name.
    """
    return Placement(device or os.environ.get(DEVICE_VARIABLE) or AUTO, gpu, threads)


def network_devices(engine: Engine) -> dict[str, str]:
    """The device of each loaded network, such as "cpu" or "cuda", by the network's name."""
    return {name: network.device for name, network in _networks(engine).items()}


def stage_devices(engine: Engine, stages: Iterable[str]) -> dict[str, str]:
    """The device of each stage's network by the stage's name; "cpu" for stages without a network."""
    devices = network_devices(engine)
    return {stage: devices.get(_NETWORK_OF_STAGE.get(stage, ""), CPU) for stage in stages}


def device_notes(engine: Engine) -> tuple[str, ...]:
    """Notes of the networks on why a device is not used, without repetitions."""
    return tuple(dict.fromkeys(note for network in _networks(engine).values() for note in network.notes))


def in_words(engine: Engine) -> str:
    """A readable description of the devices, such as "CUDA (Mesh Predictor) and 8 processor cores"."""
    networks: dict[str, list[str]] = {}
    for name, device in network_devices(engine).items():
        if device != CPU:
            networks.setdefault(NAMES[device], []).append(_WORDS[name])
    gpus = [f"{device} ({', '.join(names)})" for device, names in networks.items()]
    return " and ".join([*gpus, versions.processors()])


def _networks(engine: Engine) -> dict[str, Network]:
    owners = {"mesh_predictor": engine.mesh_predictor, "texture_predictor": engine.texture_predictor}
    return {name: owner.network for name, owner in owners.items() if owner is not None}
