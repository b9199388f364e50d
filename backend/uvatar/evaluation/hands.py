"""`uvatar evaluate hands`: renders people whose fingers' angles are known, finds them, and measures the errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import PARENTS, WRIST_JOINTS
from uvatar.data.person import Person
from uvatar.engine.engine import Engine
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.poses import drawn_poses, load_poses
from uvatar.evaluation.rendering import photograph, random_background, random_light
from uvatar.evaluation.sitters import Sitter, random_sitter
from uvatar.evaluation.tables import Row, print_table, write_csv
from uvatar.fitting.fitter import fit_people
from uvatar.geometry import rotations
from uvatar.photos.decoding import decode_photo
from uvatar.photos.encoding import encode_jpeg, encode_png
from uvatar.protocol.rig import ANGLE_LIMITS, FINGERS, LEFT_HAND, RIGHT_HAND, finger_angles, hand_pose
from uvatar.results.preview import overlay
from uvatar.runtime.terminal import terminal

JPEG_QUALITY = 92
SIZES = (1.0, 2.0)  # of the pictures beside those of `uvatar evaluate synthetic`: hands of some 60 to 140 pixels
JITTER = 6.0  # degrees, standard deviation of the angles around the poses'
CELL, SHEET_ROWS = 200, 10

_CURVED = (40, 0, 0, 45, 25)
POSES = {
    "open": np.radians([(-5, 10, 0, 3, 3), (-5, 0, 0, 3, 3), (-5, -15, 0, 3, 3), (-5, -8, 0, 3, 3), (0, 30, 0, 0, 0)]),
    "fist": finger_angles("fist"),
    "point": finger_angles("point"),
    "relaxed": finger_angles("relaxed"),
    "holding": np.radians([_CURVED, _CURVED, _CURVED, _CURVED, (25, 20, 15, 15, 25)]),
}


@dataclass(frozen=True)
class HandScore:
    """One rendered hand; NaN where it was not found.

    Attributes:
        picture, side, pose: which hand of which picture, and how its fingers are held.
        pixels: longer side of the hand's box in the picture.
        found: whether the hand model found it where it is.
        believed: whether its landmarks were used.
        angle: mean angle between the 15 joints' rotations and the true ones, degrees.
        tips: mean distance of the fingertips from the true ones, the wrists in the same place, cm.
        palm: angle between the wrist's rotation and the true one, degrees.
        relaxed: the ``angle`` of a hand at ease: what an unseen hand gets.
    """

    picture: str
    side: str
    pose: str
    pixels: float
    found: bool
    believed: bool = False
    angle: float = np.nan
    tips: float = np.nan
    palm: float = np.nan
    relaxed: float = np.nan


def evaluate_hands(out_dir: Path, count: int = 30, seed: int = 0, engine: Engine | None = None) -> list[HandScore]:
    """Render people, find and fit them, and compare their hands with the truth.

    Args:
        out_dir: where table.csv and sheet_*.png are written.
        count: how many pictures.
        seed: of everything random.
        engine: what is loaded.
    """
    engine = engine or Engine.load()
    out_dir.mkdir(parents=True, exist_ok=True)
    bank = load_poses()
    scores: list[HandScore] = []
    cells: list[NDArray[np.uint8]] = []
    for person, pose, rng in drawn_poses(bank, count, seed):
        sitter, name = _sitter(person, pose, engine.body, rng)
        found, pictures = _evaluate_one(sitter, name, engine, rng)
        scores += found
        cells += pictures
    rows = [asdict(score) for score in scores]
    write_csv(rows, out_dir / "table.csv")
    for start in range(0, len(cells), SHEET_ROWS):
        sheet = np.concatenate(cells[start : start + SHEET_ROWS])
        (out_dir / f"sheet_{start // SHEET_ROWS}.png").write_bytes(encode_png(sheet))
    print_table(summary(scores), "Hands, means over those that were believed", terminal())
    return scores


def summary(scores: Sequence[HandScore]) -> list[Row]:
    """A row for each pose, and one for all."""
    table: list[Row] = []
    for name in (*POSES, "all"):
        hands = [score for score in scores if name in ("all", score.pose)]
        known = [score for score in hands if score.believed]

        def mean(field: str, known: Sequence[HandScore] = known) -> float:
            return float(np.mean([getattr(score, field) for score in known])) if known else float("nan")

        table.append(
            {
                "pose": name,
                "hands": len(hands),
                "found": sum(score.found for score in hands),
                "believed": len(known),
                "angle (degrees)": mean("angle"),
                "of a relaxed hand": mean("relaxed"),
                "tips (cm)": mean("tips"),
                "palm (degrees)": mean("palm"),
            }
        )
    return table


def _sitter(name: str, pose: Floats, body: BodyModel, rng: np.random.Generator) -> tuple[Sitter, str]:
    """A random person whose hands are in one of the `POSES`, and which."""
    assert body.data.rig is not None
    sitter = random_sitter(name, pose, body, rng)
    held = list(POSES)[int(rng.integers(len(POSES)))]
    low, high = ANGLE_LIMITS[..., 0], ANGLE_LIMITS[..., 1]
    left, right = (np.clip(POSES[held] + np.radians(JITTER) * rng.normal(size=low.shape), low, high) for _ in range(2))
    fingers = hand_pose(left, right, body.data.rig.finger_axes).astype(np.float32)
    window = (0, 0, sitter.camera.width, sitter.camera.height)
    camera = sitter.camera.cropped(window, float(rng.uniform(*SIZES)))
    return replace(sitter, body=replace(sitter.body, hand_pose=fingers), camera=camera), held


def _evaluate_one(
    sitter: Sitter, held: str, engine: Engine, rng: np.random.Generator
) -> tuple[list[HandScore], list[NDArray[np.uint8]]]:
    """The scores of one person's hands, and a row of the sheet for each that was found."""
    body, camera = engine.body, sitter.camera
    vertices, _ = body.posed(sitter.body)
    background = random_background(camera.width, camera.height, rng)
    picture, _ = photograph(
        vertices, body.data, random_outfit(body.data, rng), camera, random_light(rng), background, rng
    )
    photo = decode_photo(encode_jpeg(picture, JPEG_QUALITY), f"{sitter.name}.jpg")
    people = engine.perception.people(photo)[:1]
    seen_by = Camera.for_photo(camera.width, camera.height)
    fits = fit_people(people, seen_by, engine.fitting)
    scores, rows = [], []
    for side in (0, 1):
        hand = camera.project(vertices[hand_vertices(body, side)])
        pixels = float(np.ptp(hand, axis=0).max())
        score = HandScore(sitter.name, ("left", "right")[side], held, round(pixels), False)
        if people and _found(people[0], side, hand.mean(0), pixels):
            score = compared(score, side, sitter.body, fits[0].body, body)
            rows.append(_row(score, photo.pixels, people[0], side, body.posed(fits[0].body)[0], seen_by, body))
        scores.append(score)
    return scores, rows


def hand_vertices(body: BodyModel, side: int) -> NDArray[np.bool_]:
    """(V,) the vertices of the fingers of a hand, 0 left or 1 right."""
    assert body.data.rig is not None
    fingers: NDArray[np.bool_] = body.data.rig.weights[:, (LEFT_HAND, RIGHT_HAND)[side]].sum(1) > 0.5
    return fingers


def _found(person: Person, side: int, middle: Floats, pixels: float) -> bool:
    """Whether perception found the hand, and where it is."""
    hand = (person.left_hand, person.right_hand)[side]
    return hand is not None and float(np.linalg.norm(hand.points[5:].mean(0) - middle)) < pixels / 2


def compared(score: HandScore, side: int, truth: BodyParameters, fitted: BodyParameters, body: BodyModel) -> HandScore:
    """The score of a hand that was found, 0 left or 1 right, with its errors."""
    rig, hand = body.data.rig, (LEFT_HAND, RIGHT_HAND)[side]
    fingers = (truth.hand_pose, fitted.hand_pose)
    assert rig is not None and fingers[0] is not None and fingers[1] is not None
    rows = slice(hand.start - LEFT_HAND.start, hand.stop - LEFT_HAND.start)
    true, ours = (rotations.exp(one[rows].astype(float)) for one in fingers if one is not None)
    at_ease = hand_pose(finger_angles("relaxed"), finger_angles("relaxed"), rig.finger_axes)[rows]
    return replace(
        score,
        found=True,
        believed=bool(np.abs(fingers[1][rows] - at_ease).max() > 1e-4),
        angle=round(_degrees_between(ours, true), 2),
        relaxed=round(_degrees_between(rotations.exp(at_ease), true), 2),
        tips=round(
            float(np.linalg.norm(_tips(fitted, side, body) - _tips(truth, side, body), axis=-1).mean()) * 100, 2
        ),
        palm=round(_degrees_between(wrist_rotation(fitted, side)[None], wrist_rotation(truth, side)[None]), 1),
    )


def _degrees_between(one: Floats, other: Floats) -> float:
    """Mean angle between rotations (N, 3, 3)."""
    return float(np.degrees(rotations.angle(one, other)).mean())


def wrist_rotation(parameters: BodyParameters, side: int) -> NDArray[np.float64]:
    """(3, 3) rotation of a body's wrist, 0 left or 1 right, camera axes."""
    local = rotations.exp(np.concatenate([parameters.global_orient[None], parameters.body_pose]).astype(float))
    joint, turned = int(WRIST_JOINTS[side]), np.eye(3)
    while joint >= 0:
        turned, joint = local[joint] @ turned, PARENTS[joint]
    return turned


def _tips(parameters: BodyParameters, side: int, body: BodyModel) -> NDArray[np.float64]:
    """(5, 3) the fingertips of the mean person with these fingers, metres, axes of the wrist."""
    assert body.data.rig is not None
    betas, orient, pose, transl = (np.zeros(shape, np.float32) for shape in (10, 3, (23, 3), 3))
    still = BodyParameters(betas, orient, pose, transl, parameters.hand_pose)
    tips = body.data.rig.fingertips.reshape(2, len(FINGERS))[side]
    return np.asarray(body.posed(still)[0][tips], np.float64)


def _row(
    score: HandScore,
    pixels: NDArray[np.uint8],
    person: Person,
    side: int,
    vertices: Floats,
    camera: Camera,
    body: BodyModel,
) -> NDArray[np.uint8]:
    """The hand in the picture, and the fitted body over it."""
    hand = (person.left_hand, person.right_hand)[side]
    assert hand is not None
    middle, reach = hand.points.mean(0), 0.9 * float(np.ptp(hand.points, axis=0).max())
    x0, y0 = (int(v) for v in np.floor(np.maximum(middle - reach, 0)))
    x1, y1 = (int(v) for v in np.ceil(np.minimum(middle + reach, [camera.width, camera.height])))
    scale = CELL / max(x1 - x0, y1 - y0)
    small = camera.cropped((x0, y0, x1, y1), scale)
    crop = np.asarray(cv2.resize(pixels[y0:y1, x0:x1], (small.width, small.height)), np.uint8)
    row = np.full((CELL, 2 * CELL, 3), 255, np.uint8)
    row[: small.height, : small.width] = crop
    row[: small.height, CELL : CELL + small.width] = overlay(crop, small, [vertices], body.data.faces)
    text = f"{score.picture} {score.side} {score.pose} {score.angle:.0f} deg {score.tips:.1f} cm palm {score.palm:.0f}"
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(row, text, (6, CELL - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, width, cv2.LINE_AA)
    return row
