"""How long fitting takes, alone and in a batch, and how near it comes to bodies that are known.

    python -m benchmarks.fitting
    python -m benchmarks.fitting --people 3      # quicker

Run it after a change of `uvatar.fitting`. The people are bodies in held-out standing poses, seen with noise as large as
BlazePose's: 1.3 % of the box side in the picture; in space 2.5 cm across and 7 cm in depth. It uses one thread.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy starts its threads

import argparse
import time
from dataclasses import replace

import numpy as np

from benchmarks.csv_results import write_csv
from tests.fitting.people import CAMERA, person_of, standing
from uvatar.body import load_open_body
from uvatar.body.face_points import FILE, load_correspondence
from uvatar.data.fit import BodyParameters
from uvatar.data.person import Person
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.fitting.models import PoseModels
from uvatar.fitting.prepared import prepare_fitting
from uvatar.runtime.weights import weights_folder


def noisy(person: Person, rng: np.random.Generator) -> Person:
    """The person with landmark errors of the size of perception's."""
    side = person.side
    landmarks, world = person.landmarks.copy(), person.world_landmarks.copy()
    landmarks[:, :2] += rng.normal(0, 0.013 * side / np.sqrt(2), (33, 2))
    world += rng.normal(0, [0.025, 0.025, 0.07], (33, 3)).astype(np.float32)
    return replace(person, landmarks=landmarks, world_landmarks=world)


def sample(rng: np.random.Generator) -> BodyParameters:
    """A person with a random shape in a random, relaxed standing pose."""
    pose = standing().body_pose + rng.normal(0, 0.15, (23, 3))
    pose[[3, 4], 0] = np.abs(rng.normal(0, 0.4, 2))
    pose[21:] = 0
    return standing(body_pose=pose, betas=np.concatenate([rng.normal(0, 0.3, 1), rng.normal(0, 0.7, 9)]))


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10, help="number of people (default: %(default)s)")
    people_count = parser.parse_args().people
    rng = np.random.default_rng(0)
    body = load_open_body()
    face = load_correspondence(weights_folder() / FILE, body)
    model = prepare_fitting(body, PoseModels.load(weights_folder()), face)
    truths = [sample(rng) for _ in range(people_count)]
    people = [noisy(person_of(body, truth), rng) for truth in truths]
    rows = []
    for fast in (False, True):
        options = FitOptions(fast=fast)
        fit_people(people[:1], CAMERA, model, options)
        start = time.perf_counter()
        for person in people[:3]:
            fit_people([person], CAMERA, model, options)
        alone = (time.perf_counter() - start) / 3
        start = time.perf_counter()
        fits = fit_people(people, CAMERA, model, options)
        batch = (time.perf_counter() - start) / people_count
        errors = []
        for found, truth in zip(fits, truths, strict=True):
            a, b = body.posed(found.body)[1][:22], body.posed(truth)[1][:22]
            errors.append(np.linalg.norm((a - a[0]) - (b - b[0]), axis=-1).mean())
        name = "fast" if fast else "default"
        print(
            f"{name}: {alone:.2f} s alone, {batch:.2f} s per person of {people_count}; joints "
            f"{100 * np.mean(errors):.1f} cm"
        )
        rows.append(
            {
                "settings": name,
                "people": people_count,
                "alone, s": alone,
                "in a batch, s a person": batch,
                "mean joint error, cm": 100 * float(np.mean(errors)),
            }
        )
    write_csv("fitting", rows, ["one thread; seconds on the clock"])


if __name__ == "__main__":
    main()
