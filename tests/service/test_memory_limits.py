"""Too little memory: limits of containers and services are seen, and what runs into them is told as that."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import cv2
import psutil
import pytest

from tests.service.servers import photo
from tests.service.test_load import client_of, front_in_thread
from tests.service.test_server import StartServer, run, states, waiting_event
from uvatar.commands.doctor_checks import GOOD, PROBLEM, WARNING, examine
from uvatar.runtime import memory_limits
from uvatar.runtime.memory import is_out_of_memory
from uvatar.runtime.memory_limits import kills, memory
from uvatar.service.listener import Listeners
from uvatar.service.model_process import PoolSettings
from uvatar.service.worker import photo_error

MB = 1_000_000
FAKES = "tests.service.fake_pipeline"


def system(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    """A root with ``proc`` and ``sys`` as Linux shows them."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(cgroup)
    (root / "proc" / "vmstat").write_text("nr_free_pages 1000\noom_kill 7\n")
    for name, text in files.items():
        path = root / "sys" / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def second(folder: str, limit: str, used: int, cache: int = 0, killed: int = 0) -> dict[str, str]:
    """The files of a group of version 2."""
    stat, events = f"anon 1\nfile 2\ninactive_file {cache}\n", f"low 0\nhigh 0\nmax 3\noom 1\noom_kill {killed}\n"
    return {
        f"{folder}memory.max": f"{limit}\n",
        f"{folder}memory.current": f"{used}\n",
        f"{folder}memory.stat": stat,
        f"{folder}memory.events": events,
    }


def first(folder: str, limit: int, used: int, cache: int = 0, killed: int = 0) -> dict[str, str]:
    """The files of a group of version 1."""
    return {
        f"memory/{folder}memory.limit_in_bytes": f"{limit}\n",
        f"memory/{folder}memory.usage_in_bytes": f"{used}\n",
        f"memory/{folder}memory.stat": f"inactive_file 1\ntotal_inactive_file {cache}\n",
        f"memory/{folder}memory.oom_control": f"oom_kill_disable 0\nunder_oom 0\noom_kill {killed}\n",
    }


UNLIMITED = 9223372036854771712  # as version 1 says it
V1 = "5:devices:/\n4:cpu,memory:/docker/abc\n0::/\n"
SYSTEMS: dict[str, tuple[str, dict[str, str], int | None, int | None, int]] = {
    # what the system shows; the limit and what is left of it (None: the computer's), processes that were killed
    "a container (2)": ("0::/\n", second("", str(700 * MB), 500 * MB, 100 * MB, 2), 700 * MB, 300 * MB, 2),
    "a service (2)": (
        "0::/user/uvatar\n",
        second("user/uvatar/", str(900 * MB), 100 * MB, killed=1),
        900 * MB,
        800 * MB,
        1,
    ),
    "a service in a smaller slice (2)": (
        "0::/user/uvatar\n",
        {**second("user/uvatar/", "max", 100 * MB), **second("user/", str(600 * MB), 550 * MB)},
        600 * MB,
        50 * MB,
        0,
    ),
    "more used than allowed (2)": ("0::/\n", second("", str(700 * MB), 800 * MB), 700 * MB, 0, 0),
    "no limit (2)": ("0::/a\n", second("a/", "max", 500 * MB), None, None, 0),
    "no controller (2)": ("0::/a\n", {"a/cgroup.procs": "1\n"}, None, None, 7),
    "a path of the host's (2)": ("0::/host/only\n", second("", str(700 * MB), 0), 700 * MB, 700 * MB, 0),
    "a container (1)": (V1, first("", 700 * MB, 650 * MB, 50 * MB, 4), 700 * MB, 100 * MB, 4),
    "a service (1)": (
        V1,
        {**first("docker/abc/", 800 * MB, 0), **first("", UNLIMITED, 9000 * MB)},
        800 * MB,
        800 * MB,
        0,
    ),
    "no limit (1)": (V1, first("", UNLIMITED, 500 * MB), None, None, 0),
    "rubbish": ("what\n", {"memory.max": "many\n"}, None, None, 7),
    "rubbish in the files": (
        "0::/\n",
        {"memory.max": "\n", "memory.current": "x", "memory.stat": "\n\nanon\n", "memory.events": "oom_kill"},
        None,
        None,
        7,
    ),
    "nothing": ("", {}, None, None, 7),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_limit_of_a_container_or_service_counts(name: str, tmp_path: Path) -> None:
    cgroup, files, total, available, killed = SYSTEMS[name]
    root = system(tmp_path, cgroup, files)
    found = memory(root)
    assert found.total == (psutil.virtual_memory().total if total is None else total)
    if available is not None:
        assert found.available == available
    assert found.limited == (total is not None) == ("container or service" in found.describe())
    assert kills(root) == killed


def test_without_linux_the_computers_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(Path, "read_text", lambda *_: pytest.fail("there are no such files"))
    assert memory().total == psutil.virtual_memory().total and kills() is None


def test_doctor_and_memory_guard_know_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def finding(total: int, available: int) -> Any:
        monkeypatch.setattr(memory_limits, "memory", lambda: memory_limits.Memory(total, available, limited=True))
        return next(found for found in examine(tmp_path) if found.subject == "Memory")

    assert finding(8000 * MB, 7000 * MB).state == GOOD
    short = finding(8000 * MB, 2000 * MB)
    assert short.state == WARNING and "Close other programs" in short.fix
    never = finding(700 * MB, 600 * MB)
    assert never.words.count("0.6 GB") == 1  # said once
    assert (
        never.state == PROBLEM
        and "0.7 GB that this container or service may use" in never.words
        and "needs about" in never.words
    )
    monkeypatch.setattr(memory_limits, "memory", lambda: memory_limits.Memory(6 << 30, 1 << 30))
    assert Listeners([])._limit == 3 << 30


@pytest.mark.parametrize(
    ("failure", "starved"),
    [
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("std::bad_alloc"), True),
        (cv2.error("OpenCV(4.11.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 8 bytes"), True),
        (cv2.error("OpenCV(4.11.0) error: (-215:Assertion failed) !ssize.empty() in function 'resize'"), False),
        (ImportError("DLL load failed: [WinError 1455] Die Auslagerungsdatei ist zu klein"), True),
        (ValueError("a value"), False),
        (KeyError("out of memory"), False),
        (OSError(28, "No space left on device"), False),
        (RuntimeError("Memory allocation error: Security limit exceeded: too many items"), False),
    ],
)
def test_what_says_that_there_is_no_memory(failure: Exception, starved: bool) -> None:
    assert is_out_of_memory(failure) is starved
    assert photo_error(failure).code == ("out-of-memory" if starved else "server-error")
    try:
        try:
            raise failure
        except Exception as error:
            raise TypeError("and so on") from error
    except TypeError as error:
        assert is_out_of_memory(error) is starved


def test_a_photo_without_memory_is_told_as_that(start_server: StartServer) -> None:
    with start_server().client() as client:
        _, events = run(client, photo(no_memory=True), photo())
        first, second = events[-1]["photos"]
        assert first["error"]["code"] == "out-of-memory" and second["state"] == "done"
        assert (
            "54 megapixels" in first["error"]["message"]
            and "GB" in first["error"]["message"]
            and "damaged" not in str(first)
        )


def test_models_without_memory_are_told_as_that(start_server: StartServer) -> None:
    """And the photos wait for it."""
    with start_server(pipeline=f"{FAKES}:ShortOfMemoryPipeline").client() as client:
        job = client.submit([("a.jpg", photo())])
        assert "not enough memory" in waiting_event(client, job)["message"]
        error = client.status()["model"]["error"]
        assert error["code"] == "out-of-memory" and "memory" in error["fix"] and "Install" not in str(error)
        assert states(client.status(job)) == ["waiting"]


@pytest.mark.skipif(sys.platform == "win32", reason="the system kills nobody for memory there")
@pytest.mark.parametrize("counter", ["counts", "stands still", "unknown"])
@pytest.mark.parametrize("when", ["loading", "at work"])
def test_a_model_process_that_the_system_kills_for_memory_is_told_as_that(
    counter: str, when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = itertools.count()
    monkeypatch.setattr(
        memory_limits,
        "kills",
        {"counts": lambda: next(counts), "stands still": lambda: 3, "unknown": lambda: None}[counter],
    )
    pool = PoolSettings(pipeline=f"{FAKES}:{'KilledPipeline' if when == 'loading' else 'FakePipeline'}")
    with front_in_thread(tmp_path / "data", pool=pool) as front, client_of(front) as client:
        if when == "loading":
            waiting_event(client, client.submit([("a.jpg", photo())]))
            error = client.status()["model"]["error"]
        else:
            _, events = run(client, photo(always_killed=True))
            error = events[-1]["photos"][0]["error"]
        if counter == "stands still":
            assert error["code"] == ("models-not-loaded" if when == "loading" else "model-crashed")
        else:
            assert (
                error["code"] == "out-of-memory"
                and "memory ran out" in error["message"]
                and "needs about" in error["message"]
            )
            assert ("probably" in error["message"]) == (counter == "unknown") and "Install" not in error["fix"]
