"""`uvatar evaluate turning`: one person, one pose, seen from eight sides: how far do the eight avatars agree?

Whoever turns round before a camera stays who they are. People who stand are rendered from all sides with one camera,
each picture is reconstructed by itself, and the avatars are compared with each other and with the truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel, measure
from uvatar.data.fit import BodyParameters
from uvatar.engine.engine import Engine
from uvatar.engine.reconstruct import reconstruct
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.pose_metrics import BODY_JOINTS, pa_mpjpe
from uvatar.evaluation.poses import drawn_poses, load_poses
from uvatar.evaluation.rendering import photograph, random_background, random_light
from uvatar.evaluation.sampling import Viewpoints
from uvatar.evaluation.sitters import HEIGHT, POPULATION, VIEWPOINTS, WIDTH, Sitter, random_sitter
from uvatar.evaluation.splits import poses_of
from uvatar.evaluation.standing import STANDING, how_it_stands, kind_of
from uvatar.evaluation.synthetic import JPEG_QUALITY, matched, with_focal_length
from uvatar.evaluation.tables import Row, print_table, write_csv
from uvatar.geometry import rotations
from uvatar.photos.decoding import PhotoError
from uvatar.photos.encoding import encode_jpeg
from uvatar.protocol.options import Options
from uvatar.results.result import PhotoResult
from uvatar.runtime.terminal import terminal

VIEWS = 8
# The first view is from the front.
_FRONTAL: Viewpoints = replace(VIEWPOINTS, front_share=1.0, front_yaw=15.0)
_MOST_DRAWN = 50  # poses that are looked at for each person wanted: one in three stands

Reconstruct = Callable[[bytes, str], PhotoResult]


@dataclass(frozen=True)
class SeenFrom:
    """An avatar from one of the views, or None where nobody was found.

    Attributes:
        fitted: the avatar's body, in the frame of that view's camera.
        lean: how much further forward it leans in its scene than the person in the world, degrees.
    """

    fitted: BodyParameters
    lean: float


def evaluate_turning(
    out: Path,
    reconstruct: Reconstruct | None = None,
    count: int = 6,
    seed: int = 0,
    split: str = "tuning",
    body: BodyModel | None = None,
) -> Sequence[Row]:
    """Render people from eight sides, reconstruct each picture by itself, and print how far the avatars differ.

    Args:
        out: folder for table.csv and the pictures.
        reconstruct: turns a picture's bytes and name into a result; by default the engine without clothing.
        count: number of people, all of whom stand.
        seed: of everything random.
        split: whose poses (`uvatar.evaluation.splits`): "tuning" or "final".
        body: the body that is rendered and fitted, where ``reconstruct`` is given.

    Returns one row per person.
    """
    if reconstruct is None or body is None:
        engine = Engine.load()
        body, reconstruct = engine.body, reconstruct or _bodies_alone(engine)
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for sitter, rng in itertools.islice(_people(split, seed, count, body), count):
        seen = [_seen(view, picture, body, reconstruct) for view, picture in _pictures(sitter, body, rng, out)]
        rows.append(
            {"person": sitter.name, "group": sitter.group, **spread([one for one in seen if one], sitter, body)}
        )
    write_csv(rows, out / "table.csv")
    print_table([*rows, _mean(rows)], f"{len(rows)} people from {VIEWS} sides", terminal())
    return rows


def turned(sitter: Sitter, angle: float, body: BodyModel) -> Sitter:
    """The person after a turn about the vertical, radians, on the same spot before the same camera."""
    turn = rotations.exp(angle * np.array(sitter.up))
    orient = rotations.log(turn @ rotations.exp(sitter.body.global_orient.astype(float))).astype(np.float32)
    _, joints = body.posed(sitter.body)
    moved = replace(sitter.body, global_orient=orient)
    shift = (joints[0] - body.posed(moved)[1][0]).astype(np.float32)
    yaw = (sitter.yaw + np.degrees(angle) + 180) % 360 - 180
    return replace(sitter, body=replace(moved, transl=moved.transl + shift), yaw=float(yaw))


def spread(seen: Sequence[SeenFrom], sitter: Sitter, body: BodyModel) -> dict[str, float]:
    """How far avatars of one person differ.

    Lengths in cm, angles in degrees: ``stature`` and ``lean`` are standard deviations over the views, ``stature_error``
    and ``lean_error`` mean sizes of the errors; ``joints`` is the mean distance of the 20 joints between two views, in
    the frame of the pelvis, and ``joints_pa`` after the best similarity transform. NaN where fewer than two are there.
    """
    if len(seen) < 2:
        return {"views": len(seen), **dict.fromkeys(_FIGURES, np.nan)}
    statures = np.array([measure(body, one.fitted.betas)["stature"] for one in seen])
    leans = np.array([one.lean for one in seen])
    joints = [_in_pelvis(one.fitted, body) for one in seen]
    pairs = list(itertools.combinations(joints, 2))
    values = (
        statures.std(), np.abs(statures - measure(body, sitter.body.betas)["stature"]).mean(),
        100 * np.mean([np.linalg.norm(a - b, axis=1).mean() for a, b in pairs]),
        100 * np.mean([pa_mpjpe(a, b) for a, b in pairs]), leans.std(), np.abs(leans).mean(),
    )  # fmt: skip
    return {"views": len(seen), **dict(zip(_FIGURES, map(float, values), strict=True))}


_FIGURES = ("stature", "stature_error", "joints", "joints_pa", "lean", "lean_error")


def _mean(rows: Sequence[Row]) -> Row:
    """The last row of the table."""
    means = {}
    for name in ("views", *_FIGURES):
        known = [float(row[name]) for row in rows if not np.isnan(float(row[name]))]
        means[name] = float(np.mean(known)) if known else np.nan
    return {"person": "mean", "group": "", **means}


def _people(split: str, seed: int, count: int, body: BodyModel) -> Iterator[tuple[Sitter, np.random.Generator]]:
    """People of a split who stand, seen from the front."""
    bank = poses_of(split, load_poses(None))
    for name, pose, rng in drawn_poses(bank, count * _MOST_DRAWN, seed):
        sitter = random_sitter(name, pose, body, rng, POPULATION, _FRONTAL)
        if kind_of(sitter, body) == STANDING:
            yield sitter, rng


def _pictures(
    sitter: Sitter, body: BodyModel, rng: np.random.Generator, out: Path
) -> Iterator[tuple[Sitter, tuple[bytes, NDArray[np.bool_]]]]:
    """The person from each side, with the picture's bytes and the true mask; light and background stay."""
    paint, light = random_outfit(body.data, rng), random_light(rng)
    background = random_background(WIDTH, HEIGHT, rng)
    for number in range(VIEWS):
        view = replace(turned(sitter, 2 * np.pi * number / VIEWS, body), name=f"{sitter.name}-{number}")
        vertices, _ = body.posed(view.body)
        noise = np.random.default_rng(number)
        picture, mask = photograph(vertices, body.data, paint, view.camera, light, background, noise)
        data = with_focal_length(encode_jpeg(picture, JPEG_QUALITY), view.camera)
        (out / "pictures" / f"{view.name}.jpg").write_bytes(data)
        yield view, (data, mask)


def _seen(
    view: Sitter, picture: tuple[bytes, NDArray[np.bool_]], body: BodyModel, reconstruct: Reconstruct
) -> SeenFrom | None:
    try:
        result = reconstruct(picture[0], f"{view.name}.jpg")
    except PhotoError:
        return None
    person = matched(result, picture[1])
    if person is None:
        return None
    return SeenFrom(person.fit.body, how_it_stands(view, person.fit.body, result.gravity, body).lean)


def _in_pelvis(fitted: BodyParameters, body: BodyModel) -> NDArray[np.float64]:
    """(20, 3) joints in the pelvis' frame, metres."""
    _, joints = body.posed(fitted)
    turn = rotations.exp(fitted.global_orient.astype(float))
    inside: NDArray[np.float64] = (joints[BODY_JOINTS] - joints[0]).astype(float) @ turn
    return inside


def _bodies_alone(engine: Engine) -> Reconstruct:
    options = Options(texture_size=512, clothing=False)
    return lambda data, name: reconstruct((name, data), engine, options)
