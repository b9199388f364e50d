"""The journal: what is in it survives, and only moves forward."""

from __future__ import annotations

import errno
import hashlib
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from uvatar.protocol import atomic_files, framing
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import LIMITS
from uvatar.protocol.jobs import checked_id
from uvatar.protocol.options import checked_options
from uvatar.service.job_files import Manifest
from uvatar.service.job_records import JobRecord, PhotoState
from uvatar.service.journal import Journal
from uvatar.service.journal_database import AlreadyServed, is_open
from uvatar.service.remaining_time import Pace, seconds_left
from uvatar.service.retention import Policy, clean, forget
from uvatar.service.worker import MOST_WORDS

OPTIONS = checked_options({})
DAY = 86_400.0
ERROR = UvatarError("No person was found.", Code.BAD_PHOTO, "Choose another photo.")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def new_job(journal: Journal, photos: int = 2, **options: Any) -> str:
    job = str(uuid.uuid4())
    add(journal, job, [(f"{index}.jpg", bytes([index])) for index in range(photos)], {**OPTIONS, **options})
    return job


def add(
    journal: Journal, job: str, photos: Sequence[tuple[str, bytes]], options: dict[str, Any], owner: str = ""
) -> JobRecord:
    """What the server does with a new job."""
    manifest = Manifest.of(photos, options, journal.clock())
    if not journal.knows(job):
        journal.files.store(job, manifest, [data for _, data in photos])
    return journal.enter(job, manifest, owner)


def finish(journal: Journal, job: str) -> None:
    for index in journal.job(job).waiting():
        finish_photo(journal, job, index, {"pad": bytes(1000)})


def finish_photo(journal: Journal, job: str, index: int, result: dict[str, Any], merged: Sequence[int] = ()) -> bool:
    """What a model process and the front do with a result."""
    journal.files.store_result(job, index, result)
    return journal.finish_photo(job, index, merged)


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(UvatarError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_job_runs_to_its_end(journal: Journal) -> None:
    job = new_job(journal)
    assert journal.job(job).state == "queued"
    unit = journal.next_unit(set())
    assert unit and unit.indices == (0,) and unit.options == OPTIONS
    assert journal.files.work(job, [0]) == (OPTIONS, [("0.jpg", b"\x00")])
    assert journal.job(job).state == "running"
    assert finish_photo(journal, job, 0, {"people": []})
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


def test_half_a_result_of_a_killed_process_is_gone_when_the_job_is_over(journal: Journal, tmp_path: Path) -> None:
    job = new_job(journal)
    (tmp_path / "jobs" / job / ".result-000.abc.part").write_bytes(b"half a result")
    finish(journal, job)
    assert {path.name for path in (tmp_path / "jobs" / job).iterdir()} == {"job", "result-000", "result-001"}


def test_the_same_job_again_changes_nothing(journal: Journal) -> None:
    job = new_job(journal)
    finish(journal, job)
    again = add(journal, job, [("0.jpg", b"\x00"), ("1.jpg", b"\x01")], OPTIONS)
    assert again.state == "finished"
    assert code_of(add, journal, job, [("0.jpg", b"\x00"), ("1.jpg", b"other")], OPTIONS) == "job-id-taken"
    assert (
        code_of(add, journal, job, [("0.jpg", b"\x00"), ("1.jpg", b"\x01")], {**OPTIONS, "fast": True})
        == "job-id-taken"
    )


def test_a_journal_that_was_not_closed_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    job = new_job(journal)
    journal.next_unit(set())
    finish_photo(journal, job, 0, {"photo": 0})
    journal.close()
    (tmp_path / "jobs" / job / ".result-001.abc.part").write_bytes(b"half a result")
    (tmp_path / "jobs" / str(uuid.uuid4())).mkdir()  # never journalled
    again = Journal(tmp_path)
    assert again.job(job).state == "queued" and again.job(job).waiting() == [1]
    assert again.result(job, 0) == {"photo": 0}
    assert sorted(item.name for item in (tmp_path / "jobs").rglob("*")) == sorted(
        [job, "job", "photo-000", "photo-001", "result-000"]
    )
    again.close()


def test_one_server_per_folder(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(AlreadyServed):
        Journal(tmp_path)


def test_a_journal_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as database:
        database.execute("PRAGMA user_version = 1000")
    before = (tmp_path / "journal.sqlite").read_bytes()
    assert code_of(Journal, tmp_path) == "data-folder"
    assert (tmp_path / "journal.sqlite").read_bytes() == before


def test_a_full_disk_leaves_no_half_job(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, chunks: Any, sync_entry: bool = True) -> None:
        if path.name == "photo-001":
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(b"".join(chunks))

    job = str(uuid.uuid4())
    with monkeypatch.context() as patched:
        patched.setattr(atomic_files, "write_atomically", full)
        assert code_of(add, journal, job, [("a", b"1"), ("b", b"2")], OPTIONS) == "disk-full"
    assert list((tmp_path / "jobs").iterdir()) == [] and code_of(journal.job, job) == "unknown-job"
    assert add(journal, job, [("a", b"1"), ("b", b"2")], OPTIONS).state == "queued"


def test_a_cancelled_job_takes_no_results(journal: Journal) -> None:
    job = new_job(journal)
    finish_photo(journal, job, 0, {"photo": 0})
    assert journal.cancel(job).state == "cancelled"
    assert not finish_photo(journal, job, 1, {"photo": 1}) and not journal.fail_photo(job, 1, ERROR)
    assert journal.next_unit(set()) is None
    assert journal.result(job, 0) == {"photo": 0}


def test_jobs_take_turns(journal: Journal) -> None:
    many, few = new_job(journal, photos=4), new_job(journal, photos=1)
    served = []
    while unit := journal.next_unit(set()):
        served.append(unit.job)
        finish_photo(journal, unit.job, unit.indices[0], {})
    assert served[:2] == [many, few] and served[2:] == [many] * 3


def test_clients_take_turns_however_many_jobs_they_send(journal: Journal) -> None:
    for _ in range(20):
        add(journal, str(uuid.uuid4()), [("a.jpg", b"a")], OPTIONS, owner="busy")
    late = str(uuid.uuid4())
    add(journal, late, [("b.jpg", b"b"), ("c.jpg", b"c")], OPTIONS, owner="late")
    served = []
    for _ in range(4):
        unit = journal.next_unit(set())
        assert unit
        served.append(unit.job)
        finish_photo(journal, unit.job, unit.indices[0], {})
    assert served.count(late) == 2 and served.index(late) <= 1


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
    finish_photo(journal, job, 2, {}, merged=[0])
    assert journal.job(job).state == "finished" and [photo.state for photo in journal.job(job).photos] == [
        "merged",
        "failed",
        "done",
    ]


def test_old_jobs_go_first_and_running_ones_stay(journal: Journal, tmp_path: Path) -> None:
    old, new, running = new_job(journal), new_job(journal), new_job(journal)
    finish(journal, old)
    finish(journal, new)
    assert clean(journal, Policy()) == []
    assert clean(journal, Policy(total_bytes=4500)) == [old]
    assert code_of(journal.job, old) == "unknown-job" and not (tmp_path / "jobs" / old).exists()
    assert journal.result(new, 1)
    journal.clock = lambda: time.time() + 31 * DAY
    assert clean(journal, Policy(days=30)) == []
    journal.clock = lambda: time.time() + 32.1 * DAY
    assert clean(journal, Policy(days=30)) == [new]
    assert journal.job(running).state == "queued"


def test_a_clock_that_jumps_costs_no_result(journal: Journal) -> None:
    """Ten years ahead for a while, as after an empty battery; and noted while it was ahead, seen when it was
    set right.
    """
    job, ahead = new_job(journal), new_job(journal)
    finish(journal, job)
    journal.clock = lambda: time.time() + 3650 * DAY
    finish(journal, ahead)
    assert clean(journal, Policy(days=30)) == []
    journal.clock = time.time
    assert clean(journal, Policy(days=30)) == [] and journal.result(job, 0) and journal.result(ahead, 0)
    journal.clock = lambda: time.time() + 29 * DAY
    assert clean(journal, Policy(days=30)) == []
    for days, gone in ((31, []), (32.5, [job, ahead])):
        journal.clock = lambda days=days: time.time() + days * DAY  # type: ignore[misc]
        assert clean(journal, Policy(days=30)) == gone


def test_without_days_results_go_at_once(journal: Journal) -> None:
    job = new_job(journal)
    finish(journal, job)
    assert clean(journal, Policy(days=0)) == [job]


def test_everything_about_a_photo_is_deleted(journal: Journal, tmp_path: Path) -> None:
    """Jobs that hold it, over or not, and no trace in any file; others stay."""
    secret, name = b"a face" * 100, "mrs secret.jpg"
    digest = hashlib.sha256(secret).hexdigest()
    over, open_job, other = (str(uuid.uuid4()) for _ in range(3))
    for job in (over, open_job):
        add(journal, job, [("first.jpg", job.encode()), (name, secret)], OPTIONS)
    add(journal, other, [("other.jpg", b"somebody else")], OPTIONS)
    finish(journal, over)
    assert set(forget(journal, photo=digest)) == {over, open_job}
    assert [job.id for job in journal.jobs()] == [other]
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert secret not in content and name.encode() not in content and digest.encode() not in content, path
    assert forget(journal, photo=digest) == []
    assert forget(journal, everything=True) == [other] and journal.jobs() == []


def test_a_deletion_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    """Whichever of its steps was the last."""
    for steps in (1, 2):
        journal = Journal(tmp_path)
        job = new_job(journal)
        journal.files.disown(job)
        if steps == 2:
            journal.files.delete(job)
        journal.close()
        again = Journal(tmp_path)
        assert again.jobs() == [] and list((tmp_path / "jobs").iterdir()) == []
        again.close()


# -- power cuts --------------------------------------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def restore(folder: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def full_folder(folder: Path) -> tuple[dict[str, bytes], str, str]:
    """The files of a server that lost its power: one job that is over, one with a photo done, one waiting."""
    journal = Journal(folder)
    over = new_job(journal, photos=1)
    finish(journal, over)
    journal._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    running = new_job(journal, photos=2)
    journal.next_unit(set())
    finish_photo(journal, running, 0, {"pad": bytes(1000)})
    files = tree(folder)
    journal.close()
    return files, over, running


def check_nothing_lost(folder: Path, over: str, running: str) -> None:
    """Every acknowledged job is known by its id, and no finished photo is done again."""
    journal = Journal(folder)
    assert journal.result(over, 0) == {"pad": bytes(1000)} and journal.job(over).state == "finished"
    assert [photo.state for photo in journal.job(running).photos] == ["done", "waiting"]
    assert journal.result(running, 0) == {"pad": bytes(1000)}
    assert journal.files.work(running, [1])[1] == [("1.jpg", b"\x01")]
    unit = journal.next_unit(set())
    assert unit and (unit.job, unit.indices) == (running, (1,))
    journal.close()


@pytest.mark.parametrize("name", ["journal.sqlite", "journal.sqlite-wal"])
def test_a_journal_cut_short_anywhere_loses_nothing(tmp_path: Path, name: str) -> None:
    files, over, running = full_folder(tmp_path / "first")
    whole = files[name]
    lengths = {*range(0, 120, 40), *range(0, len(whole), max(1, len(whole) // 30)), len(whole) - 1}
    for length in sorted(lengths):
        restore(tmp_path / "cut", {**files, name: whole[:length]})
        check_nothing_lost(tmp_path / "cut", over, running)
        restore(tmp_path / "cut", {**files, name: whole[:length] + bytes(len(whole) - length)})
        check_nothing_lost(tmp_path / "cut", over, running)


def test_a_journal_that_is_gone_or_rubbish_is_made_anew(tmp_path: Path) -> None:
    files, over, running = full_folder(tmp_path / "first")
    for rubbish in (b"this is no database " * 100, b"", None):
        kept = {name: content for name, content in files.items() if not name.startswith("journal.")}
        restore(tmp_path / "cut", kept if rubbish is None else {**kept, "journal.sqlite": rubbish})
        check_nothing_lost(tmp_path / "cut", over, running)


def test_a_result_cut_short_is_done_again_or_told(tmp_path: Path) -> None:
    """Done again while the photo is there; told by its id where the job is over.

    Wherever it was cut, or a bit fell over.
    """
    files, over, running = full_folder(tmp_path / "first")
    for job, expected in ((running, "waiting"), (over, "done")):
        name = str(Path("jobs", job, "result-000"))
        whole = files[name]
        flipped = bytearray(whole)
        flipped[700] ^= 1
        for damaged in (*(whole[:length] for length in range(0, len(whole), 97)), bytes(len(whole)), bytes(flipped)):
            restore(tmp_path / "cut", {**files, name: damaged})
            journal = Journal(tmp_path / "cut")
            assert journal.job(job).photos[0].state == expected
            assert code_of(journal.result, job, 0) == ("no-result" if job == running else "result-damaged")
            journal.close()


def test_a_photo_that_the_disk_lost_is_told(tmp_path: Path) -> None:
    files, _, running = full_folder(tmp_path / "first")
    del files[str(Path("jobs", running, "photo-001"))]
    restore(tmp_path / "cut", files)
    journal = Journal(tmp_path / "cut")
    lost = journal.job(running)
    assert lost.state == "finished" and lost.photos[1].error and lost.photos[1].error["code"] == "lost"
    journal.close()


def test_a_result_damaged_on_disk_is_told(journal: Journal, tmp_path: Path) -> None:
    job = new_job(journal)
    finish(journal, job)
    path = tmp_path / "jobs" / job / "result-000"
    path.write_bytes(path.read_bytes()[:-1])
    assert code_of(journal.result, job, 0) == "result-damaged"


@pytest.mark.parametrize(
    "identifier",
    [
        "../../etc",
        "",
        "a" * 32 + "/",
        "{6b1f7c52-6f0e-4a0e-9a55-0d6b6f1c8a11}",
        "6B1F7C52-6F0E-4A0E-9A55-0D6B6F1C8A11",
        7,
        None,
    ],
)
def test_a_job_id_cannot_be_a_path(identifier: Any) -> None:
    assert code_of(checked_id, identifier) == "malformed"


def test_both_spellings_of_a_uuid_are_ids() -> None:
    identifier = uuid.uuid4()
    assert checked_id(str(identifier)) == str(identifier) and checked_id(identifier.hex) == identifier.hex


def test_the_time_left_is_told_when_it_is_known() -> None:
    assert seconds_left(spent=1, fraction=0, waiting=3, pace=Pace()) is None
    assert seconds_left(spent=2, fraction=0.5, waiting=0, pace=Pace()) == pytest.approx(2)
    assert seconds_left(spent=2, fraction=0.5, waiting=3, pace=Pace()) == pytest.approx(2 + 3 * 4)
    assert seconds_left(spent=0, fraction=0, waiting=1, pace=Pace(photos=2, seconds=10)) == pytest.approx(10)


@pytest.mark.parametrize("letter", ["n", "山", "😀"])
def test_the_status_of_many_photos_with_long_names_can_be_sent(letter: str) -> None:
    """Of 20 jobs as the server's status has them, and of the largest job alone, where each photo has failed and says
    why.
    """
    name = letter * 200
    error = {
        "code": "server-error",
        "message": letter * MOST_WORDS,
        "fix": "Please report this with the model process's log.",
    }
    photos = tuple(PhotoState(index, name, "failed" if index else "done", error, 0) for index in range(500))
    job = JobRecord(str(uuid.uuid4()), "finished", {}, 0.0, 0.0, photos)
    assert sum(map(len, framing.pack({"kind": "status", **job.as_dict()}))) < LIMITS.header_bytes
    assert sum(map(len, framing.pack({"kind": "status", "jobs": [job.summary()] * 20}))) < 10_000
    assert job.summary()["photos"] == 500 and job.summary()["failed"] == 499 and job.summary()["done"] == 1


def test_who_has_the_journal_is_seen_from_outside(tmp_path: Path) -> None:
    assert not is_open(tmp_path / "nowhere") and not is_open(tmp_path)
    journal = Journal(tmp_path)
    assert is_open(tmp_path)
    journal.close()
    assert not is_open(tmp_path)
    (tmp_path / "journal.sqlite").write_bytes(b"rubbish" * 1000)
    assert not is_open(tmp_path)
