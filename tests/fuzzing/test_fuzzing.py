"""A share of the fuzzing on every run, from another seed each day.

The whole of it by hand:  python -m tests.fuzzing all --count 100000
"""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from . import files, messages
from .watching import Watch

SEED = datetime.date.today().toordinal()
MOST_GROWTH = 100_000_000
COUNTS = {".safetensors": 600, ".pth": 600, ".pkl": 600, ".npz": 400, ".romp": 600, ".uvatar": 300, ".photo": 1500}


def check(watch: Watch) -> None:
    print(watch)
    assert watch.slowest < 5 and watch.growth < MOST_GROWTH


def test_the_front_answers_whatever_is_sent(tmp_path: Path) -> None:
    watch = messages.fuzz(tmp_path, 4000, SEED)
    check(watch)
    assert len(watch.outcomes) > 25  # it is not all refused at the door


@pytest.mark.parametrize("suffix", files.LOADERS)
def test_damaged_files_are_read_or_refused(tmp_path: Path, suffix: str) -> None:
    check(files.fuzz(tmp_path, suffix, COUNTS[suffix], SEED))
