"""The server under load: throughput and latency with 1, 4 and 16 clients, and a soak that looks for what grows or leaks.

    python tests/benchmarks/bench_backend.py                 # clients
    python tests/benchmarks/bench_backend.py --soak 500      # jobs

The pipeline is the tests' fake one, so that the server is measured and not the models; each result has the size of a real one.
``--pipeline backend.pipeline:Pipeline`` takes the real one and a sample photo, in its fastest mode.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.client import Client  # noqa: E402
from tests.backend_process.conftest import FAKE, Server, end, photo, start  # noqa: E402

RESULT_BYTES = 4_500_000  # of one person's result on the wire
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "man.jpg"


def one_job(client: Client, data: bytes, options: dict[str, Any]) -> float:
    """Send a photo, wait, take its result; seconds."""
    begin = time.perf_counter()
    job = client.reconstruct([("a.jpg", data)], options)
    last = list(client.events(job))[-1]
    assert last["photos"][0]["state"] == "done", last
    assert client.result(job, 0)["people"]
    return time.perf_counter() - begin


def with_clients(server: Server, count: int, jobs: int, data: bytes, options: dict[str, Any]) -> str:
    """Many clients at once, ``jobs`` altogether."""
    latencies: list[float] = []

    def work() -> None:
        with server.client() as client:
            for _ in range(jobs // count):
                latencies.append(one_job(client, data, options))

    threads = [threading.Thread(target=work) for _ in range(count)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    latencies.sort()
    middle, late = statistics.median(latencies), latencies[int(0.95 * len(latencies))]
    return f"{count:3} clients: {len(latencies) / seconds:6.1f} photos/s, latency median {middle * 1e3:6.0f} ms, 95 % {late * 1e3:6.0f} ms"


def state(server: Server) -> dict[str, dict[str, int]]:
    """Of the front and its model processes: memory, open files, sockets, threads."""
    front = psutil.Process(server.process.pid)
    models = front.children(recursive=True)
    found = {"front": front, **{f"model process {number}": model for number, model in enumerate(models)}}
    return {
        name: {
            "MB": process.memory_full_info().uss >> 20,  # its own alone: shared pages come and go with other programs
            "files": process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),  # type: ignore[attr-defined]
            "sockets": len(process.net_connections()),
            "threads": process.num_threads(),
        }
        for name, process in found.items()
    }


def quiet_state(server: Server, data: bytes, options: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The state when nothing is on its way: a few photos, best small ones, wash the last large result out of the buffers."""
    with server.client() as client:
        for _ in range(5):
            one_job(client, data, options)
    time.sleep(1)
    return state(server)


def soak(server: Server, jobs: int, data: bytes, options: dict[str, Any], rinse: bytes) -> None:
    """Job after job, a new connection for every tenth; the state after the first tenth and at the end, ``rinse`` before each."""
    lost = 0
    before: dict[str, dict[str, int]] = {}
    for first in range(0, jobs, 10):
        with server.client() as client:
            for _ in range(10):
                try:
                    one_job(client, data, options)
                except AssertionError:
                    lost += 1
        if first + 10 == jobs // 10:
            before = quiet_state(server, rinse, options)
    after = quiet_state(server, rinse, options)
    parts = [path.name for path in server.folder.rglob("*.part")] + [path.name for path in server.folder.rglob("photo-*")]
    print(f"{jobs} jobs, {lost} lost; leftover files {parts}; processes {len(before)} -> {len(after)}")
    for name, then in before.items():
        now = after[name]
        growth = now["MB"] / then["MB"] - 1
        print(
            f"  {name}: {then['MB']} -> {now['MB']} MB ({growth:+.1%}), "
            + ", ".join(f"{key} {then[key]} -> {now[key]}" for key in list(then)[1:])
        )


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--soak", type=int, help="how many jobs")
    parser.add_argument("--jobs", type=int, default=96, help="with each number of clients")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pipeline", default=FAKE)
    chosen = parser.parse_args()
    real = chosen.pipeline != FAKE
    data = SAMPLE.read_bytes() if real else photo(pad=RESULT_BYTES, stages=5)
    options = {"fast": True, "texture_size": 512} if real else {}
    with tempfile.TemporaryDirectory() as folder:
        server = start(Path(folder) / "data", "--workers", str(chosen.workers), pipeline=chosen.pipeline)
        try:
            with server.client() as client:
                one_job(client, data, options)
            if chosen.soak:
                soak(server, chosen.soak, data, options, data if real else photo())
            else:
                for count in (1, 4, 16):
                    print(with_clients(server, count, chosen.jobs, data, options), flush=True)
        finally:
            end(server)


if __name__ == "__main__":
    main()
