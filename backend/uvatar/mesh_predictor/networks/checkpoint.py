"""Loading a user's or our own weights into a Mesh Predictor, without executing anything from the file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from uvatar.protocol.errors import first_line
from uvatar.runtime.networks import CheckpointError

# Parts of the published training checkpoint that are not the network: the result parser, the losses, the 2D-pose head.
_NOT_THE_NETWORK = ("_result_parser", "_calc_loss", "final_layers.0.")


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file or a PyTorch checkpoint (.pkl, .pth, .pt), names as the network has
    them.

    Raises CheckpointError for a file that is missing, truncated, or holds anything but tensors.
    """
    return _of_the_network(_read(path))


def _read(path: Path) -> Mapping[str, Tensor]:
    """Tensors by the names in the file."""
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"The file {path} does not exist.") from None
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path.name} holds more than tensors and was not opened, because loading it could run untrusted code. "
            f"Get the file from its author again. ({first_line(error)})"
        ) from None
    except Exception as error:  # a damaged file can raise almost anything
        raise CheckpointError(
            f"{path.name} is damaged or not a checkpoint; download it again. ({first_line(error)})"
        ) from None
    if isinstance(content, Mapping) and isinstance(content.get("model_state_dict"), Mapping):
        content = content["model_state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path.name} is not a network checkpoint: it does not contain named tensors.")
    return content


def _of_the_network(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix("module."): tensor
        for name, tensor in content.items()
        if not any(part in name for part in _NOT_THE_NETWORK)
    }


def load_checkpoint(network: nn.Module, path: Path) -> bool:
    """Fill ``network`` from a file. Every tensor must be there with its shape, and nothing else.

    Returns whether the file is as ROMP's public training code writes it: its bodies have their origin between the hips.

    Raises CheckpointError naming the first missing, unexpected or misshapen tensor; the network is then unchanged.
    """
    content = _read(path)
    state = _of_the_network(content)
    expected = network.state_dict()
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    misshapen = [name for name in expected if name in state and state[name].shape != expected[name].shape]
    if missing or unexpected or misshapen:
        faults = []
        if missing:
            faults.append(f"{len(missing)} tensors are missing, first {missing[0]!r}")
        if unexpected:
            faults.append(f"{len(unexpected)} are unexpected, first {unexpected[0]!r}")
        if misshapen:
            name = misshapen[0]
            faults.append(
                f"{len(misshapen)} have another shape, first {name!r}: {tuple(state[name].shape)} instead of "
                f"{tuple(expected[name].shape)}"
            )
        raise CheckpointError(f"{path.name} is a checkpoint of a different network: {'; '.join(faults)}.")
    network.load_state_dict(state)
    return set(state) != set(content)
