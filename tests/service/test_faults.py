"""Death at every stage: of the model process, the front, both, and the client. Nothing that was acknowledged is lost.

Run by hand for the figures of docs/reliability.md:  python -m pytest tests/service/test_faults.py -s -n 2
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.service.faulty_server import MODEL_POINTS, POINTS
from tests.service.servers import PATIENCE, Server, photo, wait_until
from tests.service.test_server import gone, run, states
from uvatar.protocol.errors import UvatarError
from uvatar.runtime.spawn import environment
from uvatar.service.client import Client, ServerGone, find

StartServer = Callable[..., Server]
LOADING, STAGES = "while the models are loaded", ("in the first stage", "in a later stage", "in the second photo")
VICTIMS = ("model process", "front", "front and model process", "client")
FAULTY = "tests.service.faulty_server"
SLOW = "tests.service.fake_pipeline:SlowlyLoadingPipeline"

# A client of its own, to be killed: sends the job, says when it is acknowledged, and fetches the results.
CLIENT = """if True:
    import sys
    from pathlib import Path
    from uvatar.service.client import find
    client = find(Path(sys.argv[1]))
    photos = [(name, Path(sys.argv[3], name).read_bytes()) for name in ("a.jpg", "b.jpg")]
    client.submit(photos, job=sys.argv[2])
    Path(sys.argv[3], "acknowledged").touch()
    for event in client.events(sys.argv[2]):
        if event["kind"] == "photo" and event["state"] == "done":
            client.result(sys.argv[2], event["photo"])
"""


def kill(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).kill()


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("point", [*POINTS, *MODEL_POINTS, LOADING, *STAGES])
def test_nothing_is_lost(start_server: StartServer, tmp_path: Path, point: str, victim: str) -> None:
    """Kill -9 at the point; start again what died; then every photo has its result, and what was on disk is not
    computed twice.
    """
    reached, loaded, log = tmp_path / "reached", tmp_path / "loaded", tmp_path / "log"
    if point != LOADING:
        loaded.touch()
    variables = {"UVATAR_TEST_POINT": point, "UVATAR_TEST_REACHED": str(reached), "UVATAR_TEST_LOADED": str(loaded)}
    server = start_server(module=FAULTY, pipeline=SLOW, **variables)
    photos = photos_of(point, tmp_path, log)
    for name, data in photos:
        (tmp_path / name).write_bytes(data)
    job = str(uuid.uuid4())
    sender = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(server.folder), job, str(tmp_path)],
        env=environment(),
        stderr=subprocess.DEVNULL,
    )
    front = psutil.Process(server.process.pid)
    try:
        wait_until(lambda: at_point(point, reached, tmp_path, front), f"{point} is reached")
        acknowledged = (tmp_path / "acknowledged").exists()
        written = {int(path.name[-3:]) for path in server.folder.glob(f"jobs/{job}/result-*")}
        begun = lines(log)
        models = [child.pid for child in front.children()]
        if victim == "client":
            sender.kill()
        if "front" in victim:
            server.process.kill()
            server.process.wait()
        if "model" in victim:
            for pid in models:
                kill(pid)
        for flag in (reached, tmp_path / "go"):  # whoever lives goes on
            flag.unlink(missing_ok=True) if flag == reached else flag.touch()
        loaded.touch()
        if "front" in victim:
            wait_until(lambda: all(map(gone, models)), "model processes end with their front")
            server = start_server(pipeline=SLOW, UVATAR_TEST_LOADED=str(loaded))
        if "front" in victim or victim == "client":
            sender.kill()
        sender.wait(PATIENCE)
        with server.client() as client:
            if not acknowledged:  # nothing was promised: an honest client sends the same job again
                client.submit(photos, job=job)
            end = list(client.events(job))[-1]
            assert states(end) == ["done", "done"]
            assert [client.result(job, index)["photo"]["name"] for index in (0, 1)] == ["a.jpg", "b.jpg"]
        counts = [lines(log).count(name) for name, _ in photos]
        for index in written:
            assert counts[index] == 1, "a photo whose result was on disk was computed again"
        assert sum(counts) <= 3 + (len(begun) == 0), "a death costs no more than the photo that was worked on"
        leftovers = {path.name for path in (server.folder / "jobs" / job).iterdir()}
        assert wait_until(
            lambda: (
                {path.name for path in (server.folder / "jobs" / job).iterdir()} == {"job", "result-000", "result-001"}
            ),
            f"the photos are deleted: {leftovers}",
        )
    finally:
        sender.kill()
        sender.wait()


def photos_of(point: str, folder: Path, log: Path) -> list[tuple[str, bytes]]:
    """Two photos; for points within the pipeline they say where it waits."""
    go = str(folder / "go")
    first: dict[str, Any] = {"log": str(log), "stages": 3}
    second = dict(first)
    if point == "in the first stage":
        first |= {"wait_for": go, "wait_in": 0}
    elif point == "in a later stage":
        first |= {"wait_for": go, "wait_in": 2}
    elif point == "in the second photo":
        second |= {"wait_for": go, "wait_in": 1}
    return [("a.jpg", photo(**first)), ("b.jpg", photo(**second))]


def at_point(point: str, reached: Path, folder: Path, front: psutil.Process) -> bool:
    if point in POINTS or point in MODEL_POINTS:
        return reached.exists()
    if point == LOADING:
        return (folder / "acknowledged").exists() and bool(front.children())
    return (folder / "go.waiting").exists()


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


# -- disks that are really full ----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of six megabytes, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(disk)], capture_output=True).returncode
    ):
        pytest.skip("this process may not mount a small file system, so no disk can really be full")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_is_really_full(start_server: StartServer, small_disk: Path) -> None:
    """At every size of what else is on it: a job is refused, or taken, and then it waits for room and is done."""
    server = start_server(module="tests.service.careless_server", folder=small_disk / "data")
    outcomes: list[str] = []
    with server.client() as client:
        run(client, photo())
        for free in (1_000_000, 600_000, 450_000, 300_000, 200_000, 100_000, 50_000, 20_000, 8_000):
            fill(small_disk, free)
            relief = threading.Timer(
                5, (small_disk / "ballast").unlink, [True]
            )  # where not even a failure can be noted, photos wait for space
            relief.start()
            try:
                job = client.submit([("a.jpg", photo(pad=200_000)), ("b.jpg", photo(pad=200_000))])
            except UvatarError as error:
                outcomes.append(error.code)
                relief.cancel()
                continue
            for entry in list(client.events(job))[-1]["photos"]:
                assert entry["state"] == "done", entry
                outcomes.append("done")
                assert len(client.result(job, entry["index"])["pad"]) == 200_000
            relief.cancel()
            fill(small_disk, 1_000_000)
            client.forget(job=job)
        print({outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))})
        assert set(outcomes) == {"done", "disk-full"}
        (small_disk / "ballast").unlink(missing_ok=True)
        _, events = run(client, photo())
        assert states(events[-1]) == ["done"]
    server.process.kill()
    server.process.wait()
    with start_server(folder=small_disk / "data").client() as client:
        assert {job["state"] for job in client.status()["jobs"]} == {"finished"}


def test_on_a_full_disk_jobs_wait_and_can_be_ended(start_server: StartServer, small_disk: Path, tmp_path: Path) -> None:
    """The state says why; nothing is computed again when there is room; and what is deleted needs none."""
    server = start_server(module="tests.service.careless_server", folder=small_disk / "data")
    go, log = tmp_path / "go", tmp_path / "log"
    with server.client() as client:
        run(client, photo())
        first = client.submit([("a.jpg", photo(pad=400_000, wait_for=str(go), log=str(log)))])
        cancelled, forgotten = (client.submit([("b.jpg", photo(text="x" * 300_000))]) for _ in range(2))
        wait_until(Path(f"{go}.waiting").exists, "the first photo is worked on")
        fill(small_disk, 0)
        go.touch()
        events = client.events(first)
        told = next(event for event in events if event["kind"] == "progress" and event["stage"] == "waiting")
        assert told["message"] == "The disk is full. Waiting to store the result"
        assert client.cancel(cancelled)["state"] == "cancelled"
        fill(small_disk, 0)
        assert client.forget(job=forgotten) == [forgotten] and not (server.folder / "jobs" / forgotten).exists()
        (small_disk / "ballast").unlink()
        assert states(list(events)[-1]) == ["done"] and client.result(first, 0)
        assert log.read_text() == "a.jpg\n"


def fill(disk: Path, free: int) -> None:
    """Leave this many bytes free."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - free)))


def test_a_server_that_is_gone_is_told_to_its_client(start_server: StartServer) -> None:
    server = start_server()
    with server.client() as client:
        assert client.hello()
        server.process.kill()
        server.process.wait()
        with pytest.raises(ServerGone):
            client.status()
    assert find(server.folder) is None


def test_a_client_killed_while_it_sends_leaves_nothing(start_server: StartServer) -> None:
    """A job of 60 MB of which only a part arrives."""
    server = start_server()
    code = f"""if True:
        import threading, os, time
        from pathlib import Path
        from uvatar.service.client import find
        client = find(Path({str(server.folder)!r}))
        threading.Timer(0.02, lambda: os._exit(9)).start()
        client.submit([("a.jpg", bytes(60_000_000))] * 4)"""
    subprocess.run([sys.executable, "-c", code], env=environment(), stderr=subprocess.DEVNULL, timeout=PATIENCE)
    with server.client() as client:
        status = client.status()
        known = {job["job"] for job in status["jobs"]}
        assert {path.name for path in (server.folder / "jobs").iterdir()} <= known
        for job in known:
            client.cancel(job)
        assert isinstance(client, Client) and status["queue"]["photos"] in (0, 4)
