"""The journal: what is in it survives, and only moves forward."""

from __future__ import annotations

import errno
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import wire
from backend.jobs import AlreadyServed, Journal, Policy, checked_id
from backend.pool import _Pace, seconds_left
from backend.wire import WireError

OPTIONS = wire.checked_options({})
ERROR = WireError("No person was found.", "bad-photo", "Choose another photo.")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def new_job(journal: Journal, photos: int = 2, **options: Any) -> str:
    job = str(uuid.uuid4())
    journal.add(job, [(f"{index}.jpg", bytes([index])) for index in range(photos)], {**OPTIONS, **options})
    return job


def finish(journal: Journal, job: str) -> None:
    for index in journal.job(job).waiting():
        journal.finish_photo(job, index, {"pad": bytes(1000)})


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(WireError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_job_runs_to_its_end(journal: Journal) -> None:
    job = new_job(journal)
    assert journal.job(job).state == "queued"
    unit = journal.next_unit(set())
    assert unit and unit.indices == (0,) and unit.options == OPTIONS
    assert journal.photo(job, 0) == ("0.jpg", b"\x00")
    assert journal.job(job).state == "running"
    assert journal.finish_photo(job, 0, {"people": []})
    assert journal.fail_photo(job, 1, ERROR)
    done = journal.job(job)
    assert done.state == "finished"
    assert [photo.state for photo in done.photos] == ["done", "failed"] and done.photos[1].error == ERROR.as_dict()
    assert journal.result(job, 0) == {"people": []}
    assert code_of(journal.result, job, 1) == "no-result" and code_of(journal.result, job, 2) == "no-result"


def test_photos_as_sent_are_deleted_when_the_job_is_over(journal: Journal, tmp_path: Path) -> None:
    finished, cancelled = new_job(journal), new_job(journal)
    assert len(list(tmp_path.rglob("photo-*"))) == 4
    finish(journal, finished)
    journal.cancel(cancelled)
    assert list(tmp_path.rglob("photo-*")) == []


def test_the_same_job_again_changes_nothing(journal: Journal) -> None:
    job = new_job(journal)
    finish(journal, job)
    again = journal.add(job, [("0.jpg", b"\x00"), ("1.jpg", b"\x01")], OPTIONS)
    assert again.state == "finished"
    assert code_of(journal.add, job, [("0.jpg", b"\x00"), ("1.jpg", b"other")], OPTIONS) == "job-id-taken"
    assert code_of(journal.add, job, [("0.jpg", b"\x00"), ("1.jpg", b"\x01")], {**OPTIONS, "fast": True}) == "job-id-taken"


def test_a_journal_that_was_not_closed_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    job = new_job(journal)
    journal.next_unit(set())
    journal.finish_photo(job, 0, {"photo": 0})
    journal.close()
    (tmp_path / "jobs" / job / ".result-001.abc.part").write_bytes(b"half a result")
    (tmp_path / "jobs" / "never-journalled").mkdir()
    again = Journal(tmp_path)
    assert again.job(job).state == "queued" and again.job(job).waiting() == [1]
    assert again.result(job, 0) == {"photo": 0}
    assert sorted(item.name for item in (tmp_path / "jobs").rglob("*")) == sorted([job, "photo-000", "photo-001", "result-000"])
    again.close()


def test_one_server_per_folder(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(AlreadyServed):
        Journal(tmp_path)


def test_a_damaged_journal_is_no_riddle(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"this is no database " * 100)
    with pytest.raises(WireError, match="not a database") as caught:
        Journal(tmp_path)
    assert caught.value.code == "data-folder"


def test_a_full_disk_leaves_no_half_job(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, chunks: Any) -> None:
        if path.name == "photo-001":
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(b"".join(chunks))

    job = str(uuid.uuid4())
    with monkeypatch.context() as patched:
        patched.setattr(wire, "write_atomically", full)
        assert code_of(journal.add, job, [("a", b"1"), ("b", b"2")], OPTIONS) == "disk-full"
    assert list((tmp_path / "jobs").iterdir()) == [] and code_of(journal.job, job) == "unknown-job"
    assert journal.add(job, [("a", b"1"), ("b", b"2")], OPTIONS).state == "queued"


def test_a_cancelled_job_takes_no_results(journal: Journal) -> None:
    job = new_job(journal)
    journal.finish_photo(job, 0, {"photo": 0})
    assert journal.cancel(job).state == "cancelled"
    assert not journal.finish_photo(job, 1, {"photo": 1}) and not journal.fail_photo(job, 1, ERROR)
    assert journal.next_unit(set()) is None
    assert journal.result(job, 0) == {"photo": 0}


def test_jobs_take_turns(journal: Journal) -> None:
    many, few = new_job(journal, photos=4), new_job(journal, photos=1)
    served = []
    while unit := journal.next_unit(set()):
        served.append(unit.job)
        journal.finish_photo(unit.job, unit.indices[0], {})
    assert served[:2] == [many, few] and served[2:] == [many] * 3


def test_photos_that_are_worked_on_are_not_handed_out_twice(journal: Journal) -> None:
    job = new_job(journal, photos=2)
    unit = journal.next_unit({(job, 0)})
    assert unit and unit.indices == (1,)
    assert journal.next_unit({(job, 0), (job, 1)}) is None


def test_photos_of_one_person_stay_together(journal: Journal) -> None:
    job = new_job(journal, photos=3, same_person=True)
    unit = journal.next_unit(set())
    assert unit and unit.indices == (0, 1, 2)
    assert journal.next_unit({(job, 0), (job, 1), (job, 2)}) is None
    journal.fail_photo(job, 1, ERROR)
    unit = journal.next_unit(set())
    assert unit and unit.indices == (0, 2)
    journal.finish_photo(job, 2, {})
    journal.merge_photo(job, 0)
    assert journal.job(job).state == "finished"


def test_old_jobs_go_first_and_running_ones_stay(journal: Journal, tmp_path: Path) -> None:
    old, new, running = new_job(journal), new_job(journal), new_job(journal)
    finish(journal, old)
    finish(journal, new)
    assert journal.clean(Policy()) == []
    assert journal.clean(Policy(total_bytes=3000)) == [old]
    assert code_of(journal.job, old) == "unknown-job" and not (tmp_path / "jobs" / old).exists()
    assert journal.result(new, 1)
    assert journal.clean(Policy(days=1), now=time.time() + 2 * 86_400) == [new]
    assert journal.job(running).state == "queued"


def test_a_result_damaged_on_disk_is_told(journal: Journal, tmp_path: Path) -> None:
    job = new_job(journal)
    finish(journal, job)
    path = tmp_path / "jobs" / job / "result-000"
    path.write_bytes(path.read_bytes()[:-1])
    assert code_of(journal.result, job, 0) == "result-damaged"


@pytest.mark.parametrize(
    "identifier",
    ["../../etc", "", "a" * 32 + "/", "{6b1f7c52-6f0e-4a0e-9a55-0d6b6f1c8a11}", "6B1F7C52-6F0E-4A0E-9A55-0D6B6F1C8A11", 7, None],
)
def test_a_job_id_cannot_be_a_path(identifier: Any) -> None:
    assert code_of(checked_id, identifier) == "malformed"


def test_both_spellings_of_a_uuid_are_ids() -> None:
    identifier = uuid.uuid4()
    assert checked_id(str(identifier)) == str(identifier) and checked_id(identifier.hex) == identifier.hex


def test_the_time_left_is_told_when_it_is_known() -> None:
    assert seconds_left(spent=1, fraction=0, waiting=3, pace=_Pace()) is None
    assert seconds_left(spent=2, fraction=0.5, waiting=0, pace=_Pace()) == pytest.approx(2)
    assert seconds_left(spent=2, fraction=0.5, waiting=3, pace=_Pace()) == pytest.approx(2 + 3 * 4)
    assert seconds_left(spent=0, fraction=0, waiting=1, pace=_Pace(photos=2, seconds=10)) == pytest.approx(10)
