"""The common base of all batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self, TypeVar

import torch

SomeBatch = TypeVar("SomeBatch", bound="Batch")


@dataclass(frozen=True)
class Batch:
    """A record of tensors, or of such records."""

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Self:
        """The batch on another device."""
        return type(self)(
            **{item.name: getattr(self, item.name).to(device, non_blocking=non_blocking) for item in fields(self)}
        )

    def pin_memory(self) -> Self:
        """The batch in page-locked memory, for `torch.utils.data.DataLoader`."""
        return type(self)(**{item.name: getattr(self, item.name).pin_memory() for item in fields(self)})


def joined(items: Sequence[SomeBatch]) -> SomeBatch:
    """Concatenate batches that consist of tensors only."""
    first = items[0]
    return type(first)(**{item.name: torch.cat([getattr(part, item.name) for part in items]) for item in fields(first)})
