"""Converts other data sets to shards, which trainers read like any others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import Sample
from uvatar_training.data.shards import ShardWriter


def write_shards(
    samples: Iterable[Sample],
    out: Path,
    split: str,
    name: str,
    per_shard: int = 200,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Write samples as ``SPLIT-NAME-NNNNN.tar``.

    Args:
        samples: the samples to write.
        out: folder of the shards.
        split, name: for the file names.
        per_shard: samples per shard.
        progress: called with 1 for every sample written.

    Returns:
        The number of samples written.

    Raises:
        DataError: there are no samples, or the disk is full.
    """
    count, writer = 0, None
    try:
        for sample in samples:
            if writer is None:
                writer = ShardWriter(out / f"{split}-{name}-{count // per_shard:05d}.tar")
            writer.add(sample)
            count += 1
            progress(1)
            if count % per_shard == 0:
                writer.close()
                writer = None
        if writer is not None:
            writer.close()
            writer = None
    finally:
        if writer is not None:
            writer.discard()
    if not count:
        raise DataError(out, f"would hold no samples: nothing of the split {split!r} can be used")
    return count
