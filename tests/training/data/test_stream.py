"""The stream of batches: the same everywhere, resumable at any step, and honest about what it leaves out."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker

import cv2
import numpy as np
import pytest
from test_shards import sample

from uvatar_training.data.problems import DataError, Skipped
from uvatar_training.data.sample import Sample
from uvatar_training.data.stream import Plan, stream


@dataclass
class Numbered:
    """Samples that know their number; some are bad, some of another split."""

    count: int
    bad: set[int] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return self.count

    def read(self, number: int) -> Sample:
        if number in self.bad:
            raise DataError(f"file{number}", "is damaged")
        return sample(str(number), count=1, split="held_out" if number in self.foreign else "train")


def prepare(one: Sample, rng: np.random.Generator) -> tuple[int, float]:
    return int(one.name), float(rng.random())


def collate(items: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    return list(items)


def batches(samples: Numbered, plan: Plan, first: int, last: int) -> list[list[tuple[int, float]]]:
    with stream(samples, prepare, collate, plan, first, last, split="train") as deliveries:
        return [delivery.batch for delivery in deliveries]


def test_a_run_that_goes_on_sees_what_it_would_have_seen() -> None:
    plan = Plan(10, 4, seed=1)
    whole = batches(Numbered(10), plan, 0, 12)
    assert batches(Numbered(10), plan, 5, 12) == whole[5:]
    assert batches(Numbered(10), Plan(10, 4, seed=2), 0, 12) != whole


def test_loading_processes_change_nothing_and_do_not_stay() -> None:
    samples, plan = Numbered(10, bad={3, 4}, foreign={7}), Plan(10, 4, seed=1)
    # OpenCV's threads run here now. A fork would have what they share but not them, and may hang as it sets their
    # number.
    cv2.GaussianBlur(np.zeros((1024, 1024, 3), np.float32), (31, 31), 0)
    open_files = files_in_use()
    with stream(samples, prepare, collate, plan, 0, 100, 2, "train") as deliveries:
        loaded = [next(deliveries) for _ in range(6)]
        started = multiprocessing.active_children()
        assert len(started) == 2 and all(
            isinstance(process, multiprocessing.get_context("spawn").Process) for process in started
        )
    assert not multiprocessing.active_children()  # though 94 batches were not taken
    with stream(samples, prepare, collate, plan, 0, 6, split="train") as deliveries:
        for one, other in zip(loaded, deliveries, strict=True):
            assert (one.step, one.batch, one.names) == (other.step, other.batch, other.names)
            assert [str(problem) for problem in one.skipped] == [str(problem) for problem in other.skipped]
    del loaded, deliveries, started
    gc.collect()
    assert files_in_use() <= open_files


def files_in_use() -> int:
    """How many this process has open, those of Python's own help for spawned processes included.

    0 where nobody says.
    """
    if not os.path.isdir("/proc/self/fd"):
        return 0
    resource_tracker.ensure_running()
    return len(os.listdir("/proc/self/fd"))


def test_every_epoch_holds_every_sample_once_in_another_order() -> None:
    drawn = [number for batch in batches(Numbered(10), Plan(10, 4, seed=1), 0, 10) for number, _ in batch]
    epochs = [drawn[k : k + 10] for k in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_processes_share_every_batch() -> None:
    whole = batches(Numbered(10), Plan(10, 4, 1), 0, 5)
    shares = [batches(Numbered(10), Plan(10, 4, 1, rank, 2), 0, 5) for rank in (0, 1)]
    assert [a + b for a, b in zip(*shares, strict=True)] == whole
    with pytest.raises(ValueError, match="cannot be shared by 3"):
        Plan(10, 4, 1, 0, 3)


def test_what_is_damaged_or_of_another_split_is_replaced_counted_and_reported() -> None:
    samples, skipped = Numbered(10, bad={3, 4}, foreign={7}), Skipped()
    with stream(samples, prepare, collate, Plan(10, 5, 0), 0, 2, split="train") as deliveries:
        drawn = []
        for delivery in deliveries:
            drawn += [number for number, _ in delivery.batch]
            assert delivery.names == tuple(str(number) for number, _ in delivery.batch)
            for problem in delivery.skipped:
                skipped.add(problem)
    assert len(drawn) == 10 and not {3, 4, 7} & set(drawn)
    # 3 is tried once, and 4 for itself and in place of 3.
    assert skipped.report() == (
        "3 skipped: is damaged (first: " + skipped.examples["is damaged"] + ")\n"
        "1 skipped: belongs to the split 'held_out', not to 'train' (first: 7)"
    )


def test_nothing_but_damage_ends_with_the_first_file_s_name() -> None:
    with (
        pytest.raises(DataError, match=r"file.*the 19 samples after it cannot be used; the first: is damaged"),
        stream(Numbered(30, bad=set(range(30))), prepare, collate, Plan(30, 2, 0), 0, 1) as deliveries,
    ):
        next(deliveries)
