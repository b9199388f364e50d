"""`uvatar reconstruct` with more photos than one job, or the memory, holds."""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.service.fake_pipeline import result
from tests.service.servers import Server, end, photo, start
from uvatar.commands import running
from uvatar.commands.running import MANY, PendingPhoto, Run, jobs
from uvatar.files.export import Exporter
from uvatar.files.photo_files import gathered, read_photo
from uvatar.protocol import framing
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.options import checked_options
from uvatar.protocol.photo_lists import JOB_BYTES

ONE_EACH = {"same_person": False}
TOGETHER = {"same_person": True}


class Counted(bytes):
    """A photo's bytes that know how many of their kind are in memory."""

    alive = most = 0

    def __new__(cls, data: bytes) -> Counted:
        cls.alive += 1
        cls.most = max(cls.most, cls.alive)
        return super().__new__(cls, data)

    def __del__(self) -> None:
        type(self).alive -= 1


class FakeClient:
    """A server that fails every photo but the ones it is told to make."""

    def __init__(self, log: list[Any], made: frozenset[str] = frozenset(), queue: dict[str, int] | None = None) -> None:
        self.log, self.made, self.queue = log, made, queue or {}
        self.names: dict[str, list[str]] = {}
        self.refusals: list[UvatarError] = []

    def status(self) -> dict[str, Any]:
        return {"queue": self.queue}

    def submit(self, photos: Any, options: dict[str, Any], job: str) -> None:
        if self.refusals:
            raise self.refusals.pop()
        self.names[job] = [name for name, _ in photos]
        self.log.append((len(photos), sum(len(data) for _, data in photos)))

    def events(self, job: str) -> Iterator[dict[str, Any]]:
        for index, name in enumerate(self.names[job]):
            yield {"kind": "progress", "photo": index, "fraction": 0.5, "message": "Fitting", "seconds_left": None}
            error = {"code": "bad-photo", "message": "Nobody.", "fix": ""}
            state = "done" if name in self.made else "failed"
            yield {"kind": "photo", "photo": index, "state": state, "error": None if state == "done" else error}
        yield {"kind": "finished"}

    def result(self, job: str, index: int) -> dict[str, Any]:
        return result(self.names[job][index], b"")

    def cancel(self, job: str) -> None:
        self.log.append("cancelled")

    def close(self) -> None:
        pass


def run_of(client: Any, out: Path) -> Run:
    return Run(Console(file=io.StringIO()), lambda: client, Exporter(out))


def photos(folder: Path, count: int, size: int = 1) -> list[PendingPhoto]:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:04d}.jpg").write_bytes(bytes(size))
    return [PendingPhoto(path, size) for path, size in gathered([folder])[0]]


@pytest.mark.parametrize(
    ("count", "size", "queue", "most_bytes", "expected"),
    [
        (501, 1, {}, JOB_BYTES, [500, 1]),
        (1200, 1, {}, JOB_BYTES, [500, 500, 200]),
        (60, 1000, {}, 20_000, [20, 20, 20]),  # as 60 photos of 20 MB
        (5, 30_000, {}, 20_000, [1, 1, 1, 1, 1]),
        (7, 1, {"most_photos": 3, "most_bytes": 1 << 30}, JOB_BYTES, [3, 3, 1]),  # uvatar serve --queue-photos 3
        (7, 10, {"most_photos": 99, "most_bytes": 40}, JOB_BYTES, [4, 3]),
    ],
)
def test_many_photos_make_several_jobs_and_never_fill_the_memory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    size: int,
    queue: dict[str, int],
    most_bytes: int,
    expected: list[int],
) -> None:
    monkeypatch.setattr(running, "JOB_BYTES", most_bytes)
    read = read_photo
    monkeypatch.setattr(running, "read_photo", lambda path: Counted(read(path)))
    Counted.alive = Counted.most = 0
    log: list[Any] = []
    run = run_of(FakeClient(log, queue=queue), tmp_path / "out")
    run.follow(photos(tmp_path / "photos", count, size), ONE_EACH)
    assert [photos for photos, _ in log] == expected and sum(held for _, held in log) == count * size
    assert Counted.most <= max(expected) and Counted.alive == 0
    assert [name for name, _ in run.failures] == [f"{number:04d}.jpg" for number in range(count)]


def test_jobs_become_folders_of_one_run(tmp_path: Path) -> None:
    """Names are shared out over all jobs, and a photo that has gone meanwhile is told while others go on."""
    pending = photos(tmp_path / "a", 3) + photos(tmp_path / "b", 2)
    (tmp_path / "a" / "0001.jpg").unlink()
    log: list[Any] = []
    run = run_of(
        FakeClient(log, frozenset({"0000.jpg", "0002.jpg"}), {"most_photos": 2, "most_bytes": 99}), tmp_path / "out"
    )
    run.follow(pending, ONE_EACH)
    assert [person.folder.name for person in run.people] == ["0000_p0", "0002_p0", "0000-2_p0"] and [
        n for n, _ in log
    ] == [1, 2, 1]
    assert [Path(name).name for name, _ in run.failures] == ["0001.jpg", "0001.jpg"]


def test_a_person_is_one_job_or_a_sentence() -> None:
    pending = [PendingPhoto(Path(f"{number}.jpg"), 10) for number in range(500)]
    assert list(jobs(pending, TOGETHER, 500, 1 << 34)) == [range(500)]
    for too_many, most_bytes in (
        (pending * 2, 1 << 34),
        (pending, 4999),
        ([PendingPhoto(Path("a"), 600 << 20)] * 2, 1 << 34),
    ):
        with pytest.raises(UvatarError, match="All photos of one person form one job") as caught:
            list(jobs(too_many, TOGETHER, 500, most_bytes))
        assert caught.value.fix


def test_an_avatar_knows_all_its_photos(tmp_path: Path) -> None:
    run = run_of(FakeClient([], frozenset({"0000.jpg"})), tmp_path / "out")
    pending = photos(tmp_path / "photos", 2)
    pending[1].path.write_bytes(b"another")
    run.follow(pending, TOGETHER)
    assert run.people[0].summary["made_of"] == [hashlib.sha256(data).hexdigest() for data in (bytes(1), b"another")]


def test_given_people_fit_the_messages_header() -> None:
    given = {"thetas": [[0.123456789] * 72] * 20}
    shares = list(jobs([PendingPhoto(Path("a.jpg"), 1, given)] * 300, ONE_EACH, 500, 1 << 34))
    assert len(shares) > 1 and [index for share in shares for index in share] == list(range(300))
    framing.pack({"photos": [b""] * len(shares[0]), "options": {"given_people": [given] * len(shares[0])}})


def test_a_full_queue_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "FULL_PAUSE", 0.0)
    client = FakeClient([])
    client.refusals = [UvatarError("The queue is full.", Code.QUEUE_FULL, "")] * 3
    run = run_of(client, tmp_path / "out")
    run.follow(photos(tmp_path / "photos", 2), ONE_EACH)
    output = run.console.file.getvalue()  # type: ignore[attr-defined]
    assert client.log == [(2, 2)] and output.count("queue is full; waiting") == 1


@pytest.mark.parametrize(("number", "goes_on"), [(errno.ENOSPC, False), (errno.EROFS, False), (errno.EACCES, True)])
def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, goes_on: bool) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise OSError(number, "No")

    monkeypatch.setattr(Exporter, "write", failing)
    client = FakeClient([], frozenset({"0000.jpg", "0001.jpg"}))
    run = run_of(client, tmp_path / "out")
    if goes_on:
        run.follow(photos(tmp_path / "photos", 2), ONE_EACH)
        assert len(run.failures) == 2 and client.log == [(2, 2)]
    else:
        with pytest.raises(UvatarError):
            run.follow(photos(tmp_path / "photos", 2), ONE_EACH)
        assert client.log == [(2, 2), "cancelled"]


@pytest.mark.parametrize("count", [MANY, MANY + 1])
def test_bars_are_few(tmp_path: Path, count: int) -> None:
    """A bar for every photo, or where they would fill screens, one for all."""
    run = run_of(FakeClient([]), tmp_path / "out")
    run.follow(photos(tmp_path / "photos", count), ONE_EACH)
    output = run.console.file.getvalue()  # type: ignore[attr-defined]
    assert ("0001.jpg" in output) == (count <= MANY) and (f"{count} photos" in output) == (count > MANY)


def test_a_real_server_takes_a_folder_of_several_jobs(tmp_path: Path) -> None:
    """Through `Client`, a real server with a short queue, and files."""
    server: Server = start(tmp_path / "data", "--queue-photos", "2")
    try:
        (tmp_path / "photos").mkdir()
        for number in range(5):
            (tmp_path / "photos" / f"{number}.jpg").write_bytes(photo(number=number, stages=1))
        run = run_of(server.client(), tmp_path / "out")
        run.follow([PendingPhoto(*found) for found in gathered([tmp_path / "photos"])[0]], checked_options({}))
        assert not run.failures and [person.folder.name for person in run.people] == [
            f"{number}_p0" for number in range(5)
        ]
        with server.client() as client:
            assert sorted(job["photos"] for job in client.status()["jobs"]) == [1, 2, 2]
    finally:
        end(server)
