"""Weights of a Texture Predictor in a safetensors file, with the configuration that they belong to in its metadata."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from uvatar.runtime.networks import CheckpointError
from uvatar.texture_predictor.config import Config, ConfigError
from uvatar.texture_predictor.networks.network import TextureNetwork

FORMAT = "uvatar-texture-predictor-2"


def save_checkpoint(network: TextureNetwork, path: Path, dtype: torch.dtype = torch.float32, note: str = "") -> None:
    """Write a network's weights; ``dtype``: float16 halves the file.

    ``note``: for people, where the weights come from.
    """
    state = {name: _stored(tensor, dtype) for name, tensor in network.state_dict().items()}
    metadata = {"format": FORMAT, "config": json.dumps(network.config.as_dict()), "note": note}
    save_file(state, path, metadata)


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def read_config(path: Path) -> Config:
    """The configuration of a checkpoint, without reading its weights.

    Raises CheckpointError if it is no usable checkpoint.
    """
    return _opened(path)[0]


def load_checkpoint(path: Path, resolution: int | None = None) -> TextureNetwork:
    """The network that a checkpoint describes, with its weights, in evaluation mode on the CPU.

    Args:
        resolution: the texture size that it must have, or None for any.

    Raises:
        CheckpointError: the file is missing, damaged or of another kind, has another resolution, or weights that are
            missing, unexpected, of another shape or not finite; the message names the first.
    """
    config, state = _opened(path, weights=True)
    if resolution is not None and config.resolution != resolution:
        raise CheckpointError(
            f"{path.name} makes textures of {config.resolution} x {config.resolution} texels, not {resolution}."
        )
    network = TextureNetwork(config)
    expected = network.state_dict()
    faults = []
    if missing := [name for name in expected if name not in state]:
        faults.append(f"{len(missing)} tensors are missing, first {missing[0]!r}")
    if unexpected := [name for name in state if name not in expected]:
        faults.append(f"{len(unexpected)} are unexpected, first {unexpected[0]!r}")
    if misshapen := [name for name in expected if name in state and state[name].shape != expected[name].shape]:
        first = misshapen[0]
        found, wanted = tuple(state[first].shape), tuple(expected[first].shape)
        faults.append(f"{len(misshapen)} have another shape, first {first!r}: {found}, not {wanted}")
    if broken := [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]:
        faults.append(f"{len(broken)} hold numbers that are not finite, first {broken[0]!r}")
    if faults:
        raise CheckpointError(f"{path.name} does not hold the weights of its own configuration: {'; '.join(faults)}.")
    network.load_state_dict(state)
    return network.eval()


def _opened(path: Path, weights: bool = False) -> tuple[Config, dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()} if weights else {}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError:
        raise CheckpointError(f"The file {path} does not exist.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path.name} is damaged or not a safetensors file; download it again. ({error})"
        ) from None
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path.name} is not a checkpoint of this version's Texture Predictor ({FORMAT}).")
    try:
        return Config.from_dict(json.loads(metadata.get("config", ""))), state
    except (ConfigError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path.name} has no usable configuration: {error}") from None
