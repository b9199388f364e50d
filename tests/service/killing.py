"""Kills servers and model processes at random moments of jobs, and counts what became of the photos.

    python -m tests.service.killing --kills 1000
    python -m tests.service.killing --kills 50 --real     # the default pipeline, with the sample photos

For the figures of docs/reliability.md; `test_faults.py` kills at chosen points.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psutil

from tests.service.servers import FAKE, Server, end, photo, start
from uvatar.protocol.errors import UvatarError
from uvatar.service.client import ServerGone

REAL = "uvatar.engine.pipeline:Pipeline"
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
EVERY = 20  # kills, after which all jobs are waited for
Jobs = dict[str, list[tuple[str, bytes]]]


def submit(server: Server, job: str, photos: list[tuple[str, bytes]], options: dict[str, Any]) -> bool:
    """Send a job; whether it was accepted."""
    with suppress(ServerGone, UvatarError), server.client() as client:
        client.submit(photos, options, job)
        return True
    return False


def kill(server: Server, victim: str) -> None:
    """Kill -9 of the front, of its model processes, or of all."""
    models = psutil.Process(server.process.pid).children() if "model" in victim else []
    if "front" in victim:
        server.process.kill()
        server.process.wait()
    for model in models:
        with suppress(psutil.NoSuchProcess):
            model.kill()


def outcomes(server: Server, jobs: Jobs) -> Counter[str]:
    """What became of the photos of all jobs."""
    counts: Counter[str] = Counter()
    with server.client() as client:
        for job, photos in jobs.items():
            status = list(client.events(job))[-1]
            for entry, (_, data) in zip(status["photos"], photos, strict=True):
                outcome = entry["state"] if entry["state"] != "failed" else entry["error"]["code"]
                if outcome == "done":
                    digest = client.result(job, entry["index"])["photo"]["digest"]
                    outcome = "right" if digest == hashlib.sha256(data).hexdigest() else "wrong"
                counts[outcome] += 1
    return counts


def run(folder: Path, kills: int, seed: int, real: bool) -> Counter[str]:
    """Kill so often; returns the outcomes of all accepted photos, and the kills by victim."""
    random, counts, jobs = Random(seed), Counter[str](), Jobs()
    samples = [path.read_bytes() for path in sorted(SAMPLES.glob("*.jpg"))]
    server = start(folder, pipeline=REAL if real else FAKE)
    begun = time.monotonic()
    try:
        for number in range(1, kills + 1):
            photos = [
                (f"{index}.jpg", random.choice(samples) if real else photo(number=number * 10 + index, seconds=0.05))
                for index in range(random.choice((1, 2, 3)))
            ]
            job = str(uuid.uuid4())
            if submit(server, job, photos, {"fast": True, "texture_size": 512}):
                jobs[job] = photos
            time.sleep(random.uniform(0, 8.0 if real else 0.6))
            victim = random.choice(("model process", "model process", "front", "front and model process"))
            kill(server, victim)
            counts[f"killed: {victim}"] += 1
            if "front" in victim:
                server = start(folder, pipeline=REAL if real else FAKE)
            if number % EVERY == 0 or number == kills:
                for attempts_left in reversed(range(5)):
                    try:
                        counts += outcomes(server, jobs)
                        break
                    except ServerGone:  # it may be slow on a busy computer
                        if not attempts_left or server.process.poll() is not None:
                            raise
                jobs.clear()
                print(f"{number} kills, {time.monotonic() - begun:.0f} s: {dict(sorted(counts.items()))}", flush=True)
    finally:
        end(server)
    return counts


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="the default pipeline")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder) / "data", chosen.kills, chosen.seed, chosen.real)


if __name__ == "__main__":
    main()
