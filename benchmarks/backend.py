"""The server under load: photos per second and waiting times with 1, 4 and 16 clients, and a search for leaks.

    python -m benchmarks.backend                 # clients
    python -m benchmarks.backend --soak 500      # 500 jobs in sequence
    python -m benchmarks.backend --soak 500 --pipeline uvatar.engine.pipeline:Pipeline    # with the real models

Run it after a change of the server, the journal or the messages. By default the pipeline is the fake one from the
tests, which measures the server without the models, with results of a real one's size. The real pipeline works on the
sample photos.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.csv_results import write_csv
from tests.service.servers import FAKE, Server, end, photo, start
from uvatar.service.client import Client

RESULT_BYTES = 4_500_000  # of one person's result as transferred
SAMPLES = Path(__file__).resolve().parents[1] / "samples"
FAST = {"fast": True, "texture_size": 512}


def one_job(client: Client, data: bytes, options: dict[str, Any]) -> float:
    """Send a photo, wait, and fetch its result; returns the time in seconds."""
    begin = time.perf_counter()
    job = client.submit([("a.jpg", data)], options)
    last = list(client.events(job))[-1]
    assert last["photos"][0]["state"] == "done", last
    assert client.result(job, 0)["people"]
    return time.perf_counter() - begin


def with_clients(server: Server, count: int, jobs: int, data: bytes, options: dict[str, Any]) -> dict[str, object]:
    """Run ``count`` clients at once, with ``jobs`` jobs in total, and return a row of results."""
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
    print(
        f"{count:3} clients: {len(latencies) / seconds:6.1f} photos/s, latency median {middle * 1e3:6.0f} ms, 95 % "
        f"{late * 1e3:6.0f} ms",
        flush=True,
    )
    return {
        "clients": count,
        "photos/s": len(latencies) / seconds,
        "median latency, ms": middle * 1e3,
        "latency at 95 %, ms": late * 1e3,
    }


def own_bytes(process: psutil.Process) -> int:
    """Memory that the process has written, bytes.

    Pages of mapped files (libraries and weights) do not count: the system drops and shares these depending on other
    programs.
    """
    memory = process.memory_info()
    return memory.rss - memory.shared if hasattr(memory, "shared") else process.memory_full_info().uss


def state(server: Server) -> dict[str, dict[str, float]]:
    """State of the server process and its model processes: memory (own and resident), open files, sockets, threads."""
    time.sleep(1)  # until nothing is being transferred
    front = psutil.Process(server.process.pid)
    models = front.children(recursive=True)
    found = {"front": front, **{f"model process {number}": model for number, model in enumerate(models)}}
    return {
        name: {
            "MB": own_bytes(process) / 1e6,
            "resident MB": process.memory_info().rss / 1e6,
            "files": process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),  # type: ignore[attr-defined]
            "sockets": len(process.net_connections()),
            "threads": process.num_threads(),
        }
        for name, process in found.items()
    }


def soak(server: Server, jobs: int, orders: Sequence[tuple[bytes, dict[str, Any]]]) -> list[dict[str, object]]:
    """Run many jobs in sequence, ten per connection, and record the server's state twenty times.

    The first tenth of the jobs is a warm-up that fills all caches; growth is counted from its end.

    Args:
        server: the server.
        jobs: number of jobs.
        orders: photo and options of each job, used cyclically.
    """
    lost = 0
    curve: dict[int, dict[str, dict[str, float]]] = {}
    for first in range(0, jobs, 10):
        with server.client() as client:
            for number in range(first, first + 10):
                try:
                    one_job(client, *orders[number % len(orders)])
                except AssertionError:
                    lost += 1
        done = first + 10
        if done == 20 or done % (jobs // 20) == 0:
            curve[done] = state(server)
            print(
                f"{done:5} jobs: " + "; ".join(f"{name} {now['MB']:.1f} MB" for name, now in curve[done].items()),
                flush=True,
            )
    parts = [path.name for path in server.folder.rglob("*.part")] + [
        path.name for path in server.folder.rglob("photo-*")
    ]
    warm, last = curve[jobs // 10], curve[jobs]
    print(f"{jobs} jobs, {lost} lost; leftover files {parts}; processes {len(warm)} -> {len(last)}")
    for name, then in warm.items():
        sizes = [now[name]["MB"] / then["MB"] - 1 for done, now in curve.items() if done >= jobs // 10]
        print(
            f"  {name}: {sizes[-1]:+.1%} from job {jobs // 10} to the last, {max(sizes):+.1%} at most; "
            + ", ".join(f"{key} {then[key]:.0f} -> {last[name][key]:.0f}" for key in then)
        )
    return [
        {"jobs": done, "process": name, **now} for done, processes in curve.items() for name, now in processes.items()
    ]


def sample_orders() -> list[tuple[bytes, dict[str, Any]]]:
    """The sample photos in the fastest mode in turn; every twentieth job is a different photo at full quality."""
    samples = [path.read_bytes() for path in sorted(SAMPLES.glob("*.jpg"))]
    rounds = [[(sample, FAST) for sample in samples] * 5 for _ in samples]
    for sample, orders in zip(samples, rounds, strict=True):
        orders[-1] = (sample, {})
    return [order for orders in rounds for order in orders]


def main() -> None:
    """Run the benchmark that the command line selects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", type=int, help="run this many jobs in sequence and watch the processes' memory")
    parser.add_argument("--jobs", type=int, default=96, help="jobs with each number of clients (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="number of model processes (default: %(default)s)")
    parser.add_argument("--pipeline", default=FAKE, help="module:Class of the pipeline (default: %(default)s)")
    chosen = parser.parse_args()
    orders = sample_orders() if chosen.pipeline != FAKE else [(photo(pad=RESULT_BYTES, stages=5), {})]
    notes = [f"{chosen.workers} model processes; data folder in the system's folder for temporary files"]
    with tempfile.TemporaryDirectory() as folder:
        server = start(Path(folder) / "data", "--workers", str(chosen.workers), pipeline=chosen.pipeline)
        try:
            with server.client() as client:
                one_job(client, *orders[0])
            if chosen.soak:
                rows = soak(server, chosen.soak, orders)
                write_csv("backend_soak", rows, notes)
            else:
                rows = [with_clients(server, count, chosen.jobs, *orders[0]) for count in (1, 4, 16)]
                write_csv("backend", rows, [*notes, "results of 4.5 MB" if chosen.pipeline == FAKE else ""])
        finally:
            end(server)


if __name__ == "__main__":
    main()
