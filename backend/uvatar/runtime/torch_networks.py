"""Networks that run in PyTorch, with the interface of `uvatar.runtime.networks`.

PyTorch is an optional dependency, imported only for a user's own checkpoint, or for a device that onnxruntime lacks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uvatar.protocol.devices import AUTO, COREML, CPU, CUDA, DIRECTML, MPS
from uvatar.runtime.devices import ANYWHERE, NAMES, Placement
from uvatar.runtime.networks import Arrays, CheckpointError, PlacedNetwork, Run, not_started, torch_is_installed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

INSTALL_TORCH = 'Install "uvatar[torch]", or choose "With PyTorch" when you set Uvatar up in Blender.'


class TorchMissing(CheckpointError):
    """PyTorch is needed but not installed."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs PyTorch, which is not installed. {INSTALL_TORCH}")


def require_torch(what: str) -> None:
    """Check that PyTorch is installed.

    Args:
        what: what needs PyTorch, such as "ROMP.pkl"; the message begins with it.

    Raises:
        TorchMissing: PyTorch is not installed.
    """
    if not torch_is_installed():
        raise TorchMissing(what)


class TorchNetwork(PlacedNetwork):
    """A module whose forward method takes tensors by name and returns a dictionary of tensors."""

    def __init__(
        self,
        module: nn.Module,
        placement: Placement = ANYWHERE,
        metadata: Mapping[str, str] = MappingProxyType({}),
        on_cpu: Callable[[], nn.Module] | None = None,
    ) -> None:
        """Put a module on a device.

        Args:
            module: with trained weights, on the CPU; it is copied.
            placement: the device; PyTorch's GPU interfaces are CUDA and MPS.
            metadata: see `Network`.
            on_cpu: makes the module to run on the CPU if a module other than ``module`` is faster there.

        Raises:
            DeviceError: an explicitly selected device cannot be used.
        """

        def run_on_cpu() -> Run:
            return _runner(on_cpu().eval() if on_cpu else _frozen(module), CPU, placement.threads)

        notes: tuple[str, ...] = ()
        if placement.device in (DIRECTML, COREML):
            notes = (f"PyTorch has no {NAMES[placement.device]}, so that your own checkpoint runs on the CPU.",)
        for device in _candidates(placement.device):
            try:
                _check(device, placement.index)
                where = f"{device}:{placement.index}" if device == CUDA else device
                run = _runner(_frozen(module).to(where), where, placement.threads)
            except (RuntimeError, AssertionError) as error:
                notes = (*notes, not_started(device, placement.device, error))
                continue
            super().__init__(run, device, run_on_cpu, notes, metadata)
            return
        super().__init__(run_on_cpu(), CPU, run_on_cpu, notes, metadata)


def _candidates(device: str) -> tuple[str, ...]:
    """The GPU interfaces to try for a selected device."""
    import torch

    if device == AUTO:
        return tuple(
            name for name, there in ((CUDA, torch.cuda.is_available), (MPS, torch.backends.mps.is_available)) if there()
        )
    return (device,) if device in (CUDA, MPS) else ()


def _check(device: str, index: int) -> None:
    """Raise RuntimeError if PyTorch cannot use this GPU."""
    import torch

    if device == CUDA and (not torch.cuda.is_available() or index >= torch.cuda.device_count()):
        raise RuntimeError(f"PyTorch finds {torch.cuda.device_count()} GPUs, and number {index} was asked for.")
    if device == MPS and not torch.backends.mps.is_available():
        raise RuntimeError("PyTorch does not find it.")


def _frozen(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).eval().requires_grad_(False)


def _runner(module: nn.Module, device: str, threads: int) -> Run:
    import torch

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        if device == CPU and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        with torch.inference_mode():
            tensors = {name: _tensor(values, device) for name, values in inputs.items()}
            outputs: dict[str, Tensor] = module(**tensors)
            return {name: tensor.float().cpu().numpy() for name, tensor in outputs.items()}

    return run


def _tensor(values: NDArray[Any], device: str) -> torch.Tensor:
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(values)).to(device)
    # Convolutions on CPUs are fastest with channels last in memory.
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 and device == CPU else tensor
