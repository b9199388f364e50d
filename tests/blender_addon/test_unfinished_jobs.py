"""Jobs on disk, and how photos are split into jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.blender_addon.busy_disk import hold_back_files
from uvatar_blender.core.events import Accepted, JobEnded, PhotoDone, PhotoFailed, Progress
from uvatar_blender.core.jobs import Job, JobGroup, JobState, grouped
from uvatar_blender.core.problem import Problem
from uvatar_blender.core.unfinished_jobs import UnfinishedJobs


def job(identifier: str = "one", *names: str) -> Job:
    return Job(identifier, tuple(Path(name) for name in names or ("a.jpg", "b.jpg")), {"fast": True})


def test_an_unfinished_job_is_read_back_as_it_stood(tmp_path: Path) -> None:
    unfinished, one = UnfinishedJobs(tmp_path / "blender"), job("one", "gone.jpg", "a.jpg", "b.jpg")
    one.apply(Accepted("one", (1, 2)))
    one.imported.add(1)
    unfinished.record(one)
    (read,) = unfinished.load()
    assert (read.id, read.photos, read.options, read.sent, read.imported) == (
        "one",
        one.photos,
        {"fast": True},
        (1, 2),
        {1},
    )
    assert read.state is JobState.RUNNING and read.number(2) == 1


def test_a_job_is_struck_out_when_nothing_waits_any_more(tmp_path: Path) -> None:
    unfinished, one = UnfinishedJobs(tmp_path), job()
    one.results[0] = object()  # type: ignore[assignment]
    one.apply(JobEnded("one"))
    unfinished.record(one)
    assert unfinished.load()  # a result is not imported yet
    one.results.clear()
    unfinished.record(one)
    assert not unfinished.load() and not list(tmp_path.iterdir())


def test_a_busy_disk_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freed = hold_back_files(monkeypatch)
    unfinished = UnfinishedJobs(tmp_path)
    unfinished.record(job())  # returns although the disk does not
    assert not list(tmp_path.glob("*.json"))
    freed.set()
    unfinished.flush()
    assert [read.id for read in unfinished.load()] == ["one"]


def test_damaged_files_are_passed_over_and_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    unfinished = UnfinishedJobs(tmp_path)
    unfinished.record(job())
    unfinished.flush()
    for name, text in {"two.json": "{", "three.json": '{"id": "other"}', "four.json": "[]", "notes.txt": "x"}.items():
        (tmp_path / name).write_text(text)
    assert [found.id for found in unfinished.load()] == ["one"]
    (tmp_path / "file").write_text("no folder")
    nowhere = UnfinishedJobs(tmp_path / "file")
    nowhere.record(job())  # raises nothing
    assert nowhere.load() == []


def test_groups_become_jobs_of_their_own() -> None:
    marked = [("crowd", ""), ("front", "A"), ("alone", "B"), ("back", "A"), ("beach", "")]
    jobs = grouped([(Path(name), person) for name, person in marked])
    named = [([path.name for path in paths], one) for paths, one in jobs]
    assert named == [(["crowd", "beach"], False), (["front", "back"], True), (["alone"], True)]
    assert grouped([(Path("a"), "A"), (Path("b"), "A")]) == [([Path("a"), Path("b")], True)]
    assert grouped([]) == []


def test_a_run_adds_up_its_jobs() -> None:
    run = JobGroup([job("one", "a.jpg"), job("two", "b.jpg", "c.jpg", "d.jpg")])
    run.jobs[0].apply(Progress("one", 0, "fitting", 0.5, "Fitting", 10.0))
    assert run.fraction == pytest.approx(0.125) and run.current.id == "one"
    assert run.seconds_left is not None and run.seconds_left >= 10.0
    run.jobs[0].apply(PhotoFailed("one", 0, Problem("No person was found.")))
    run.jobs[0].apply(JobEnded("one"))
    assert run.fraction == pytest.approx(0.25) and (run.state, run.current.id) == (JobState.RUNNING, "two")
    run.jobs[1].apply(PhotoDone("two", 1, object()))  # type: ignore[arg-type]
    assert list(run.waiting()) == [(run.jobs[1], 1)]
    run.jobs[1].apply(JobEnded("two"))
    assert run.state is JobState.DONE and [problem.message for _, problem in run.problems()] == ["No person was found."]
    assert run.job("two") is run.jobs[1] and run.job("three") is None
