"""How photos become jobs: as many as the backend takes, by count and by size."""

from __future__ import annotations

from pathlib import Path

import pytest

from uvatar_blender.core.jobs import portioned
from uvatar_blender.core.session import Session
from uvatar_blender.protocol.photo_lists import JOB_BYTES, JOB_PHOTOS

_MIB = 1 << 20


def files(folder: Path, sizes: list[int]) -> list[Path]:
    """Files of these sizes that take no room on the disk."""
    made = []
    for number, size in enumerate(sizes):
        made.append(folder / f"{number:04}.jpg")
        with open(made[-1], "wb") as file:
            file.truncate(size)
    return made


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1], [1]),
        ([1] * JOB_PHOTOS, [JOB_PHOTOS]),
        ([1] * (2 * JOB_PHOTOS + 1), [JOB_PHOTOS, JOB_PHOTOS, 1]),
        ([20 * _MIB] * 60, [12] * 5),  # 1.2 GB
        ([1, JOB_BYTES + 1, 1], [1, 1, 1]),  # the one that is too large takes no other with it
    ],
)
def test_many_or_large_photos_are_several_jobs_in_their_order(
    tmp_path: Path, sizes: list[int], expected: list[int]
) -> None:
    photos = files(tmp_path, sizes)
    jobs = portioned(photos, {"same_person": False})
    assert [len(job) for job in jobs] == expected and [photo for job in jobs for photo in job] == photos
    for job in jobs:
        assert len(job) == 1 or sum(photo.stat().st_size for photo in job) <= JOB_BYTES


def test_one_persons_photos_stay_one_job(tmp_path: Path) -> None:
    photos = files(tmp_path, [1] * (JOB_PHOTOS + 1))
    assert portioned(photos, {"same_person": True}) == [photos]


def test_photos_that_are_not_there_are_left_to_be_told(tmp_path: Path) -> None:
    assert portioned([tmp_path / "gone.jpg"], {}) == [[tmp_path / "gone.jpg"]]


def test_a_run_has_them_as_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path / "data"))
    session = Session()
    run = session.reconstruct(
        [(files(tmp_path, [1] * (JOB_PHOTOS + 1)), {"same_person": False}), ([tmp_path / "a.jpg"], {})]
    )
    session.close()
    assert [len(job.photos) for job in run.jobs] == [JOB_PHOTOS, 1, 1]
