"""Thousands of photos: resumable, with a report, on the server and on Ray."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.commands.test_cli import data, uvatar  # noqa: F401  (a fixture)
from tests.service.fake_pipeline import picture, result
from tests.service.servers import FAKE, PATIENCE, photo, wait_until
from uvatar.files.avatar_folders import RECORD
from uvatar.files.export import Exporter
from uvatar.protocol import discovery
from uvatar.protocol.errors import Code, UvatarError
from uvatar.runtime.spawn import environment, module_command
from uvatar.service.batch.photos import BatchPhoto, find_photos
from uvatar.service.batch.record import BatchRecord, PhotoOutcome
from uvatar.service.batch.report import write_report
from uvatar.service.batch.run import run_batch
from uvatar.service.client import find


def make_photos(folder: Path, count: int, **orders: Any) -> None:
    for number in range(count):
        place = folder / f"day {number % 2}" / f"{number:03d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(photo(number=number, **orders))


def outcomes(out: Path) -> dict[str, PhotoOutcome]:
    record = BatchRecord(out)
    record.close()
    return record.outcomes


def test_a_batch_killed_again_and_again_computes_nothing_twice(tmp_path: Path, data: Path) -> None:  # noqa: F811
    """Kill -9 of the command, then of the server with it; the third run finishes."""
    log, photos, out = tmp_path / "log", tmp_path / "photos", tmp_path / "out"
    make_photos(photos, 16, log=str(log), seconds=0.05)
    (photos / "nobody.jpg").write_bytes(photo(fail="No person was found <in> nobody.jpg.", log=str(log)))
    arguments = ["batch", str(photos), "--out", str(out), "--no-blend", "--data", str(data), "--pipeline", FAKE]
    for done, also_server in ((3, False), (7, True)):
        process = subprocess.Popen(
            module_command("uvatar", *arguments), env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        wait_until(lambda done=done: len(outcomes(out)) >= done if out.exists() else False, f"{done} photos are over")  # type: ignore[misc]
        process.kill()
        process.wait()
        runtime = discovery.read_runtime(data)
        if also_server and runtime:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(runtime.pid).kill()
    last = uvatar(*arguments)
    assert last.returncode == 1 and "17 photos: 16 done, 1 failed" in last.stdout, last.stdout + last.stderr
    begun = log.read_text().split()
    assert len(set(begun)) == 17 and len(begun) <= 18  # the server's death costs the photo that it was at
    folders = {folder for outcome in outcomes(out).values() for folder in outcome.folders}
    assert len(folders) == 16 and all((out / folder / "result.json").is_file() for folder in folders)
    report = (out / "report.html").read_text()
    assert (
        "16 with 16 avatars, 1 failed (bad-photo 1)" in report
        and "No person was found &lt;in&gt; nobody.jpg." in report
    )
    assert report.count("<img") == 16 and len(list((out / "thumbnails").iterdir())) == 16
    client = find(data)
    assert client
    with client:
        assert client.status()["jobs"] == []  # what was written is kept once
    again = uvatar(*arguments)
    assert "17 of them finished earlier" in again.stdout and len(log.read_text().split()) == len(begun)


def test_a_job_is_forgotten_even_if_the_batch_was_killed_before_it_could_be(tmp_path: Path, data: Path) -> None:  # noqa: F811
    """Between the record of its result and that."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    make_photos(photos, 1)
    arguments = ["batch", str(photos), "--out", str(out), "--no-blend", "--data", str(data), "--pipeline", FAKE]
    killed = f"""if True:
        import os, sys
        from uvatar.commands import cli
        from uvatar.service.client import Client
        Client.forget = lambda *_, **__: os._exit(9)
        sys.argv[1:] = {arguments!r}
        cli.main()"""
    assert subprocess.run([sys.executable, "-c", killed], env=environment(), timeout=PATIENCE).returncode == 9
    assert [outcome.done for outcome in outcomes(out).values()] == [True]
    for expected in (1, 0):
        with find(data) as client:
            assert len(client.status()["jobs"]) == expected
        assert uvatar(*arguments).returncode == 0


def test_a_failure_names_its_photo_once() -> None:
    reasons = {
        "day 1.jpg is empty (0 bytes). Copy it again.": "it is empty (0 bytes). Copy it again.",
        "No person was found in day 1.jpg. Choose another.": "No person was found in it. Choose another.",
        "The disk is full.": "The disk is full.",
    }
    for reason, told in reasons.items():
        assert PhotoOutcome("holiday/day 1.jpg", "a", "1", "bad-photo", reason).told_reason == told


def engine_of(results: dict[str, Any], asked: list[str]) -> Any:
    def work(photos: Iterator[tuple[BatchPhoto, bytes]], _last: Any) -> Iterator[tuple[BatchPhoto, Any]]:
        for one, content in photos:
            asked.append(one.key)
            yield one, results.get(one.key) or result(one.path.name, content)

    return work


def test_only_what_is_left_to_do_is_done(tmp_path: Path) -> None:
    """Photos that changed, whose folders are gone, or that failed for no fault of theirs are done again; others are
    not.
    """
    photos, out = tmp_path / "photos", tmp_path / "out"
    make_photos(photos, 5)
    (photos / "day 0" / "000.png").write_bytes(photo())
    keys = [found.key for found in find_photos(photos)]
    failures = {
        keys[2]: UvatarError("Nobody.", Code.BAD_PHOTO, ""),
        keys[3]: UvatarError("Crashed.", Code.MODEL_CRASHED, ""),
    }
    asked: list[str] = []
    totals = run_batch(photos, engine_of(failures, asked), Exporter(out), lambda *_: None)
    assert asked == keys and (totals.done, totals.failed) == (4, 2)
    assert len({outcome.stem for outcome in outcomes(out).values()}) == 6
    (photos / keys[0]).write_bytes(photo(other=1))
    for leftover in (out / outcomes(out)[keys[1]].folders[0]).iterdir():
        leftover.unlink()
    asked.clear()
    totals = run_batch(photos, engine_of({}, asked), Exporter(out), lambda *_: None)
    assert asked == [keys[0], keys[1], keys[3]] and (totals.done, totals.failed, totals.skipped) == (5, 1, 3)


def test_a_record_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    record = BatchRecord(tmp_path)
    for name in "abc":
        record.add(PhotoOutcome(name, name, "1", folders=(name,)))
    record.close()
    path = tmp_path / RECORD
    path.write_bytes(path.read_bytes()[:-9])
    assert set(outcomes(tmp_path)) == {"a", "b"}
    record = BatchRecord(tmp_path)
    record.add(PhotoOutcome("d", "d", "1"))
    record.close()
    assert set(outcomes(tmp_path)) == {"a", "b", "d"}


def test_a_list_names_photos(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 2)
    (tmp_path / "list.txt").write_text("# people\nphotos/day 0/000.jpg\n\nphotos/missing.jpg\nphotos/day 0/000.jpg\n")
    found = find_photos(tmp_path / "list.txt")
    assert [one.key for one in found] == ["photos/day 0/000.jpg", "photos/missing.jpg"]
    asked: list[str] = []
    totals = run_batch(tmp_path / "list.txt", engine_of({}, asked), Exporter(tmp_path / "out"), lambda *_: None)
    assert (totals.done, totals.failed) == (1, 1)
    assert outcomes(tmp_path / "out")["photos/missing.jpg"].code == "unreadable"


def test_the_report_holds_no_strangers_markup(tmp_path: Path) -> None:
    (tmp_path / "a_p0").mkdir()
    (tmp_path / "a_p0" / "overlay.jpg").write_bytes(picture(300, "JPEG"))
    evil = "<script>alert(1)</script>.jpg"
    write_report(
        tmp_path, [PhotoOutcome(evil, "a", "1", folders=("a_p0",)), PhotoOutcome("b", "b", "", "bad-photo", evil)], 3
    )
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page and "1 not done yet" in page and "thumbnails/a_p0.jpg" in page


def test_a_batch_on_ray_survives_the_death_of_its_workers(tmp_path: Path) -> None:
    """Ray's local cluster; workers are killed on purpose while photos are under way."""
    pytest.importorskip(
        "ray",
        reason="RAY IS NOT INSTALLED: `uvatar batch --ray` is NOT tested in this run: pip install uvatar[ray]",
    )
    log, photos, out = tmp_path / "log", tmp_path / "photos", tmp_path / "out"
    make_photos(photos, 12, log=str(log), seconds=0.3)
    (photos / "nobody.jpg").write_bytes(photo(fail="No person was found."))
    command = module_command(
        "uvatar", "batch", str(photos), "--out", str(out), "--no-blend", "--ray", "local", "--pipeline", FAKE
    )
    process = subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    killed = 0
    while killed < 3 and process.poll() is None:
        begun = len(log.read_text().split()) if log.exists() else 0
        if begun > 3 * killed + 1:
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if "reconstruct_one" in " ".join(child.cmdline()):
                        child.kill()
                        killed += 1
                        break
    output, _ = process.communicate(timeout=4 * PATIENCE)
    assert process.returncode == 1 and "13 photos: 12 done, 1 failed" in output, output
    assert killed == 3 and len(log.read_text().split()) >= 13
    assert "12 with 12 avatars" in (out / "report.html").read_text()


def test_ray_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from uvatar.service.batch.on_ray import runner_on_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UvatarError) as caught:
        runner_on_ray("local", {}, FAKE, 1, tmp_path)
    assert caught.value.code == "no-ray" and "uvatar[ray]" in caught.value.fix
