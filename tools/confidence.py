"""Measure who becomes an avatar and with what confidence, on pictures of things, parts of people and whole people.

You need it after a change of perception, or to fit the weights of `uvatar.perception.evidence` again
(docs/confidence.md).

    python -m tools.confidence make PICTURES --annotated ../shared/photos/annotated --things DIR
    python -m tools.confidence run PICTURES OUT
    python -m tools.confidence report OUT --fit

``make`` draws and renders the pictures (`uvatar.evaluation.kinds`). ``run`` makes avatars, in fast mode, of everything
that is detected, however unlikely, and records evidence and figures in OUT/*.jsonl, a line for each picture; it can be
stopped and continued. ``report`` prints the tables of docs/confidence.md. Half of the pictures, chosen by a checksum of
their names, serve to fit the weights; the other half is held out.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from uvatar.body import load_open_body
from uvatar.data.arrays import Floats
from uvatar.data.photo import Photo
from uvatar.engine.engine import Engine
from uvatar.engine.reconstruct import reconstruct
from uvatar.evaluation.kinds import (
    HIDDEN,
    PART,
    PERSON,
    THING,
    LabelledPicture,
    projected,
    read_pictures,
    write_pictures,
)
from uvatar.evaluation.tables import Row, markdown
from uvatar.fitting.report import fit_confidence, shown_share
from uvatar.perception.evidence import FEATURES, LIKELY, PersonEvidence, features, likelihood, upper_body_inside
from uvatar.perception.perception import Found, Perception
from uvatar.photos.decoding import PhotoError
from uvatar.protocol.options import Options
from uvatar.results.result import PersonResult
from uvatar.runtime.weights import weights_folder

RIDGE = 0.02  # regularisation of the weights, so that few pictures do not make them large
TEXTURE = 256  # texels; the share of seen texels does not depend on it
KINDS = {
    THING: "no person",
    PART: "a part of a person",
    HIDDEN: "a person, cut, small or hidden",
    PERSON: "a whole person",
}
QUANTILES = (0.1, 0.5, 0.9, 1.0)


class Everybody(Perception):
    """Perception that also returns unlikely people, and keeps the evidence in `last`."""

    last = Found([], [])

    def found(self, photo: Photo, progress: Any = None, least: float = 0.0, wanted: Any = None) -> Found:
        """All detections, whatever their likelihood."""
        self.last = super().found(photo, progress, least=0.0, wanted=wanted)
        return self.last


def run(folder: Path, out: Path, share: tuple[int, int]) -> None:
    """Make avatars of the pictures that ``out`` does not know yet, every ``share[1]``-th from ``share[0]`` on."""
    out.mkdir(parents=True, exist_ok=True)
    done = {look["name"] for look in read(out)}
    everybody = Everybody(weights_folder() / "perception")
    # The Mesh Predictor is one more start of the fitting: what is judged here does not need it.
    engine = replace(Engine.load(threads=1), mesh_predictor=None, perception=everybody)
    with (out / f"{share[0]}.jsonl").open("a", encoding="utf-8") as file:
        for picture in list(read_pictures(folder))[share[0] :: share[1]]:
            if picture.name not in done:
                file.write(json.dumps(looked_at(engine, everybody, picture)) + "\n")
                file.flush()


def looked_at(engine: Engine, everybody: Everybody, picture: LabelledPicture) -> dict[str, Any]:
    """Everybody found in a picture: evidence, figures, and whether they are right (None where the truth does
    not say).
    """
    data = cv2.imencode(".png", picture.pixels[..., ::-1])[1].tobytes()
    everybody.last = Found([], [])
    try:
        made = reconstruct((picture.name, data), engine, Options(fast=True, texture_size=TEXTURE))
    except PhotoError:  # nobody
        people: list[PersonResult] = []
    else:
        people = made.people
    found = []
    for result in people:
        last = everybody.last
        evidence = next(
            evidence for person, evidence in zip(last.people, last.evidence, strict=True) if person is result.person
        )
        marks = projected(engine.body, result.fit.body, made.camera)
        right: bool | None = picture.kind != THING and not picture.misplaced(marks)
        if not right and picture.kind in (PERSON, HIDDEN) and not _about(picture, result.person.box):
            right = None  # somebody else, who is not annotated
        landmarks = result.person.landmarks
        size = picture.pixels.shape[1], picture.pixels.shape[0]
        inside = np.all((landmarks[:, :2] >= 0) & (landmarks[:, :2] <= size), axis=1)
        found.append(
            {
                "right": right,
                "upper_body": upper_body_inside(landmarks, size),
                "evidence": asdict(evidence),
                "visible": float((landmarks[:, 2] * inside).mean()),
                "error": result.fit.landmark_error_median,
                "outline": result.outline,
                "seen": result.texture.seen,
                "notes": result.fit.notes,
            }
        )
    return {
        "name": picture.name,
        "kind": picture.kind,
        "what": picture.what,
        "held_out": picture.held_out,
        "found": found,
    }


def _about(picture: LabelledPicture, box: Floats) -> bool:
    """Whether a box holds most of the known person's visible keypoints and is not much larger."""
    assert picture.keypoints is not None
    points = picture.keypoints[picture.keypoints[:, 2] == 2, :2]
    inside = np.all((points >= box[:2]) & (points <= box[2:]), axis=1)
    return len(points) > 0 and float(inside.mean()) > 0.6 and float(np.max(box[2:] - box[:2])) < 1.5 * picture.side


def read(out: Path) -> list[dict[str, Any]]:
    """The pictures that ``run`` has looked at."""
    return [
        json.loads(line)
        for path in sorted(out.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def fit(looks: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Logistic regression of right and wrong on the evidence in the fitted half: the weights.

    Right and wrong count the same in sum, and nothing that should speak for a person may speak against one: few
    pictures are no reason.
    """
    found = [one for look in looks if not look["held_out"] for one in look["found"] if one["right"] is not None]
    rows, right = np.array([features(evidence_of(one)) for one in found]), np.array([one["right"] for one in found])
    weight = np.where(right, 0.5 / right.mean(), 0.5 / (~right).mean())

    def cost(weights: Floats) -> tuple[float, Floats]:
        signed = np.where(right, 1, -1) * (rows @ weights)
        slope = -weight * np.where(right, 1, -1) / (1 + np.exp(signed))
        penalty = RIDGE * weights * (np.arange(len(weights)) > 0)
        return float(weight @ np.logaddexp(0, -signed) + 0.5 * penalty @ weights), rows.T @ slope + penalty

    bounds = [(None, None) if name == "one" else (None, 0) if name == "rival" else (0, None) for name in FEATURES]
    return np.asarray(minimize(cost, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x)


def evidence_of(found: dict[str, Any]) -> PersonEvidence:
    """The evidence of somebody found."""
    return PersonEvidence(**{name: found["evidence"][name] for name in PersonEvidence.__dataclass_fields__})


def judged(looks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The looks with the likelihood that today's weights give everybody found."""
    for look in looks:
        for one in look["found"]:
            one["likelihood"] = likelihood(evidence_of(one)) if one["upper_body"] else 0.0
    return looks


def sure(found: dict[str, Any]) -> float:
    """The confidence that the finished avatar would have."""
    return fit_confidence(found["likelihood"], found["visible"], found["error"]) * shown_share(
        found["outline"], found["seen"]
    )


def accepted(look: dict[str, Any]) -> list[dict[str, Any]]:
    """The detections that become avatars."""
    return [one for one in look["found"] if one["likelihood"] >= LIKELY]


def tables(looks: list[dict[str, Any]]) -> str:
    """The tables of docs/confidence.md, in Markdown."""
    text = []
    for title, held_out in (("The half that the weights were fitted to", False), ("The held-out half", True)):
        half = [look for look in looks if look["held_out"] == held_out]
        rows: list[Row] = []
        surest: dict[str, NDArray[Any]] = {}
        for kind, label in KINDS.items():
            of = [look for look in half if look["kind"] == kind]
            people = [one for look in of for one in accepted(look)]
            surest[kind] = np.array([max((sure(one) for one in accepted(look)), default=0.0) for look in of])
            rows.append(
                {
                    "pictures of": label,
                    "pictures": len(of),
                    "with an avatar": sum(bool(accepted(look)) for look in of),
                    "avatars": len(people),
                    "misplaced": sum(one["right"] is False for one in people),
                    **{
                        f"sure, {100 * q:.0f} %" if q < 1 else "sure, highest": float(np.quantile(surest[kind], q))
                        for q in QUANTILES
                    },
                }
            )
        text.append(f"### {title}\n\n{markdown(rows)}")
        pairs = ((THING, PART), (PART, PERSON), (THING, PERSON), (THING, HIDDEN))
        ranks = ", ".join(
            f"{KINDS[low]} below {KINDS[high]} {auc(surest[low], surest[high]):.3f}" for low, high in pairs
        )
        text.append(f"Ranking (area under the curve; a picture without an avatar counts as 0): {ranks}.\n")
    return "\n".join(text)


def auc(low: Floats, high: Floats) -> float:
    """Probability that one of ``high`` is above one of ``low``; ties count half."""
    above = (high[:, None] > low[None]) + 0.5 * (high[:, None] == low[None])
    return float(above.mean())


def main() -> None:
    """Run the subcommand that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="draw and render the pictures")
    make.add_argument("pictures", type=Path, help="folder of the pictures")
    make.add_argument("--annotated", type=Path, help="COCO photos: adds real people and parts of them")
    make.add_argument("--things", type=Path, action="append", default=[], help="folder of photos without people")
    make.add_argument("--count", type=int, default=104, help="pictures of each kind (default: %(default)s)")
    look = commands.add_parser("run", help="make avatars and record the figures")
    look.add_argument("pictures", type=Path, help="folder of the pictures")
    look.add_argument("out", type=Path, help="folder of the records")
    look.add_argument("--part", default="0/1", help="0/2 and 1/2 share the work between two runs")
    shown = commands.add_parser("report", help="print the tables")
    shown.add_argument("out", type=Path, help="folder of the records")
    shown.add_argument("--fit", action="store_true", help="fit the weights to the first half before")
    arguments = parser.parse_args()
    if arguments.command == "make":
        body = load_open_body(weights_folder() / "open_body.npz")
        write_pictures(arguments.pictures, body, arguments.annotated, arguments.things, arguments.count)
    elif arguments.command == "run":
        first, every = (int(number) for number in arguments.part.split("/"))
        run(arguments.pictures, arguments.out, (first, every))
    else:
        looks = read(arguments.out)
        if arguments.fit:
            print("WEIGHTS =", dict(zip(FEATURES, fit(looks).round(2).tolist(), strict=True)))
        print(tables(judged(looks)))


if __name__ == "__main__":
    main()
