"""How fast the server answers other clients while it receives and writes a large job.

    python -m benchmarks.answering                      # jobs of 50, 200 and 500 MB
    python -m benchmarks.answering --megabytes 900      # close to the limit of 1 GiB

Run it after a change of what the server does with new jobs (`uvatar.service.ingest`): it must go on serving the panel
of one user while another sends a folder of photos. One client sends the job; until the job is acknowledged, which means
that it is on the disk, another one asks for the server's status again and again. It needs as much memory as the largest
job three times.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.csv_results import write_csv
from tests.service.servers import PATIENCE, Server, end, photo, start
from uvatar.service.client import Client

PHOTOS = 8  # of a job; a single frame may have 256 MiB


def send(port: int, token: str, megabytes: int, times: Connection) -> None:
    """The sender's process: send a job of this size; tells when it began and when the job was acknowledged."""
    data = photo().ljust(megabytes * 1_000_000 // PHOTOS)
    with Client(port, token, reply_seconds=PATIENCE) as client:
        begin = time.time()
        job = client.submit([(f"{number}.jpg", data) for number in range(PHOTOS)], {})
        times.send((begin, time.time()))
        client.cancel(job)


def answer_times(server: Server, megabytes: int) -> tuple[float, list[float]]:
    """Send a job of this size; returns the seconds until it is acknowledged, and those of each answer meanwhile."""
    mine, its = multiprocessing.Pipe(duplex=False)
    sender = multiprocessing.get_context("spawn").Process(target=send, args=(server.port, server.token, megabytes, its))
    answers = []
    with server.client() as client:
        client.status()  # connects
        sender.start()
        its.close()
        while not mine.poll():
            asked = time.time()
            client.status()
            answers.append((asked, time.time() - asked))
        begin, acknowledged = mine.recv()  # raises EOFError if the sender has failed
        sender.join()
    return acknowledged - begin, [seconds for asked, seconds in answers if asked + seconds > begin]


def row_of(server: Server, megabytes: int, repeats: int) -> dict[str, object]:
    """A row of results: all answers during several jobs of one size."""
    jobs, answers = [], []
    for _ in range(repeats):
        seconds, meanwhile = answer_times(server, megabytes)
        jobs.append(seconds)
        answers += meanwhile
    row: dict[str, object] = {
        "job, MB": megabytes,
        "job acknowledged after, s": statistics.median(jobs),
        "answers meanwhile": len(answers),
        "median answer, ms": 1e3 * statistics.median(answers),
        "slowest answer, ms": 1e3 * max(answers),
    }
    print(", ".join(f"{name}: {value:.4g}" for name, value in row.items()), flush=True)
    return row


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[50, 200, 500], help="sizes of the jobs")
    parser.add_argument("--repeats", type=int, default=3, help="jobs of each size")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = start(Path(folder) / "data")
        try:
            rows = [row_of(server, size, arguments.repeats) for size in arguments.megabytes]
        finally:
            end(server)
    folder_note = "data folder in the system's folder for temporary files"
    write_csv("answering", rows, [f"{arguments.repeats} jobs of {PHOTOS} photos for each row; {folder_note}"])


if __name__ == "__main__":
    main()
