"""Endless batches in an order that depends only on seed and step: training can stop and resume at any step, with any
number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from uvatar_training.data.problems import DataError

Read = TypeVar("Read", bound="Named", covariant=True)
Item = TypeVar("Item")
Batch = TypeVar("Batch")
_REPLACEMENTS = 20  # number of consecutive damaged samples after which an error is raised


class Named(Protocol):
    """Fields that every sample has."""

    @property
    def name(self) -> str:
        """The sample's name for messages."""
        ...

    @property
    def split(self) -> str:
        """The split that the sample belongs to."""
        ...


class Samples(Protocol[Read]):
    """Numbered samples: shards, or a real data set."""

    def __len__(self) -> int: ...

    def read(self, number: int) -> Read:
        """Read a sample.

        Raises:
            DataError: the sample cannot be used.
        """
        ...


@dataclass(frozen=True)
class Delivery(Generic[Batch]):
    """A batch, the names of its samples, and the errors of samples that were replaced."""

    step: int
    batch: Batch
    names: tuple[str, ...]
    skipped: tuple[DataError, ...]


@dataclass(frozen=True)
class Plan:
    """Assigns samples to the steps' batches: every epoch is a new permutation of all samples.

    Attributes:
        count: number of samples.
        batch: samples per step over all processes.
        seed: of the permutations.
        rank, world: index of this process and number of processes; each takes its share of every batch.
    """

    count: int
    batch: int
    seed: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError if the batch cannot be divided among the processes."""
        if self.count < 1 or self.batch < 1 or self.batch % self.world:
            raise ValueError(
                f"A batch of {self.batch} cannot be shared by {self.world} processes, or there are no samples "
                f"({self.count})."
            )

    def numbers(self, step: int) -> list[tuple[int, int]]:
        """The pairs (sample, place) of this process in a step.

        ``place`` counts all samples drawn so far, and seeds the sample's random numbers.
        """
        share = self.batch // self.world
        first = step * self.batch + self.rank * share
        return [(self._at(place), place) for place in range(first, first + share)]

    def _at(self, place: int) -> int:
        epoch, within = divmod(place, self.count)
        return int(self._permutation(epoch)[within])

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        cached: dict[int, NDArray[np.int64]] = self.__dict__.setdefault("_epochs", {})
        if epoch not in cached:
            cached.clear()
            cached[epoch] = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        return cached[epoch]


class _Steps(Sampler[list[tuple[int, int]]]):
    """The plan's batches from one step to another."""

    def __init__(self, plan: Plan, first: int, last: int) -> None:
        self._plan, self._first, self._last = plan, first, last

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self._first, self._last):
            yield self._plan.numbers(step)

    def __len__(self) -> int:
        return max(0, self._last - self._first)


class _Prepared(Dataset[tuple[Any, str, list[DataError]]], Generic[Item]):
    """Prepared samples; a damaged one is replaced by the next in the set, and its error is returned with it."""

    def __init__(
        self, samples: Samples[Any], prepare: Callable[[Any, np.random.Generator], Item], seed: int, split: str | None
    ) -> None:
        self._samples, self._prepare, self._seed, self._split = samples, prepare, seed, split

    def __getitem__(self, key: tuple[int, int]) -> tuple[Item, str, list[DataError]]:
        number, place = key
        problems: list[DataError] = []
        for attempt in range(_REPLACEMENTS):
            try:
                sample = self._samples.read((number + attempt) % len(self._samples))
                if self._split is not None and sample.split != self._split:
                    raise DataError(sample.name, f"belongs to the split {sample.split!r}, not to {self._split!r}")
                return self._prepare(sample, np.random.default_rng([self._seed, place])), sample.name, problems
            except DataError as error:
                problems.append(error)
        raise DataError(
            problems[0].path,
            f"and the {_REPLACEMENTS - 1} samples after it cannot be used; the first: {problems[0].reason}",
        )


@contextmanager
def stream(
    samples: Samples[Any],
    prepare: Callable[[Any, np.random.Generator], Item],
    collate: Callable[[Sequence[Item]], Batch],
    plan: Plan,
    first: int,
    last: int,
    workers: int = 0,
    split: str | None = None,
    pin: bool = False,
) -> Iterator[Iterator[Delivery[Batch]]]:
    """A context manager for the batches of steps ``first`` to ``last`` - 1; loading processes end with its block.

    Args:
        samples: the data.
        prepare: a sample and its random generator -> network inputs. Like `Samples.read`, it may raise DataError.
        collate: prepared samples -> batch.
        plan: the order of samples.
        first, last: steps, the last one excluded.
        workers: number of loading processes, 0 to load in this process. They are spawned on every system, because
            forking a process whose threads (OpenCV's, OpenMP's) have run can hang; ``samples``, ``prepare`` and
            ``collate`` are pickled for each.
        split: the split that every sample must belong to; others are skipped and reported.
        pin: whether to load into page-locked memory, for a GPU.

    Raises:
        DataError: too many consecutive samples cannot be used.
    """
    loader = DataLoader(
        _Prepared(samples, prepare, plan.seed, split),
        batch_sampler=_Steps(plan, first, last),
        num_workers=workers,
        collate_fn=_Collate(collate),
        worker_init_fn=_one_thread if workers else None,
        multiprocessing_context="spawn" if workers else None,
        pin_memory=pin,
    )
    iterator = iter(loader)
    try:
        yield (Delivery(first + k, *content) for k, content in enumerate(iterator))
    finally:
        shut = getattr(iterator, "_shutdown_workers", None)
        if shut is not None:
            shut()
        for process in getattr(iterator, "_workers", ()):
            process.join()  # PyTorch kills a process that is still starting, but does not wait for it


class _Collate(Generic[Item, Batch]):
    def __init__(self, collate: Callable[[Sequence[Item]], Batch]) -> None:
        self._collate = collate

    def __call__(
        self, parts: Sequence[tuple[Item, str, list[DataError]]]
    ) -> tuple[Batch, tuple[str, ...], tuple[DataError, ...]]:
        items, names, problems = zip(*parts, strict=True)
        return self._collate(items), names, tuple(problem for some in problems for problem in some)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
