"""`uvatar evaluate synthetic`: renders bodies in new poses, reconstructs them and measures the errors in 3D.

Figures in the picture plane (landmark error, outline) do not show errors in depth: two fits that are 11 cm apart have
the same ones.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from rich.table import Table

from uvatar.body import BodyModel, measure
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import HIP_JOINTS, Joint
from uvatar.engine.engine import Engine
from uvatar.engine.reconstruct import reconstruct
from uvatar.evaluation.metrics import psnr
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.pose_metrics import (
    BODY_JOINTS,
    LIMB_JOINTS,
    LIMB_LANDMARKS,
    facing_error,
    mpjpe,
    pa_mpjpe,
    torso_direction_error,
)
from uvatar.evaluation.poses import load_poses
from uvatar.evaluation.rendering import (
    Paint,
    photograph,
    random_background,
    random_light,
    read_paint,
    texture_files,
)
from uvatar.evaluation.sitters import HEIGHT, WIDTH, Sitter
from uvatar.evaluation.splits import Drawn, drawn_people
from uvatar.evaluation.standing import OTHER, STANDING, how_it_stands, kind_of, view_of
from uvatar.evaluation.tables import Row, print_table
from uvatar.fitting.shape import CHILD
from uvatar.geometry.masks import mask_iou
from uvatar.geometry.raster import rasterize
from uvatar.photos.decoding import FILM_DIAGONAL, PhotoError
from uvatar.photos.encoding import encode_jpeg
from uvatar.protocol.options import Options
from uvatar.results.preview import overlay, render_textured
from uvatar.results.result import PersonResult, PhotoResult
from uvatar.runtime.terminal import terminal

JPEG_QUALITY = 92
ARMS_DOWN = 1.25  # radians
_LABELS = ("name", "group", "yaw", "found", "kind")
_BY_KIND = ("gravity", "lean", "feet", "below", "stature", "wrong_age", "mpjpe_20", "pa_mpjpe", "torso_direction")
SHEET_ROWS, CELL = 10, (240, 300)

Reconstruct = Callable[[bytes, str], PhotoResult]


@dataclass(frozen=True)
class Score:
    """One person's errors: lengths in cm, angles in degrees, PSNR in dB; NaN where the person was not found.

    ``mpjpe`` and ``pa_mpjpe`` are over all 24 joints; ``_20`` without hands and toes; ``_limbs`` over the 12 shoulders,
    elbows, wrists, hips, knees and ankles, which the landmark model has, too. ``landmarks_`` is for its raw world
    landmarks, ``standing_`` for the mean person, standing and facing the camera. ``mask_iou`` is perception's mask,
    ``body_iou`` the body without clothing, both against the true mask. ``gravity``, ``lean`` and ``feet`` are
    `HowItStands`.
    """

    name: str
    group: str
    yaw: float
    found: bool
    kind: str = STANDING
    mpjpe: float = np.nan
    mpjpe_20: float = np.nan
    mpjpe_limbs: float = np.nan
    pa_mpjpe: float = np.nan
    pa_mpjpe_limbs: float = np.nan
    torso_direction: float = np.nan
    facing: float = np.nan
    stature: float = np.nan
    mask_iou: float = np.nan
    body_iou: float = np.nan
    psnr: float = np.nan
    landmarks_mpjpe_limbs: float = np.nan
    landmarks_pa_mpjpe_limbs: float = np.nan
    standing_mpjpe_20: float = np.nan
    standing_pa_mpjpe_limbs: float = np.nan
    gravity: float = np.nan
    lean: float = np.nan
    feet: float = np.nan
    below: float = np.nan
    wrong_age: float = np.nan


@dataclass(frozen=True)
class Evaluation:
    """All scores, and their summary over the people found.

    The summary has mean, median and 90th percentile of the absolute values, by name.
    """

    scores: Sequence[Score]
    summary: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def found(self) -> int:
        """The number of people that the pipeline found."""
        return sum(score.found for score in self.scores)


def evaluate_synthetic(
    out_dir: Path,
    reconstruct: Reconstruct | None = None,
    poses: Path | None = None,
    textures: Path | None = None,
    count: int = 30,
    seed: int = 0,
    body: BodyModel | None = None,
    split: str = "all",
    refine: bool = True,
) -> Evaluation:
    """Render people, reconstruct each from the bytes of its picture, and measure the errors.

    Args:
        out_dir: where table.csv, sheet_*.jpg and the pictures are written.
        reconstruct: turns a picture's bytes and name into a result; by default the engine with a small texture.
        poses: npz of poses (see `load_poses`); by default those that ship with the program.
        textures: folder of clothed UV textures (png, jpg) of the open body; by default procedural outfits.
        body: the body that is rendered and fitted, where ``reconstruct`` is given.
        split: which people (`uvatar.evaluation.splits`).
        refine: whether the engine fits the bodies, or only predicts them.
    """
    if reconstruct is None or body is None:
        engine = Engine.load()
        body, reconstruct = engine.body, reconstruct or _small_texture(engine, refine)
    images = texture_files(textures) if textures else []
    (out_dir / "pictures").mkdir(parents=True, exist_ok=True)
    bank = load_poses(poses)
    scores, rows = [], []
    for drawn in drawn_people(split, bank, count, seed, body):
        rng = drawn.rng
        paint = read_paint(images[rng.integers(len(images))]) if images else random_outfit(body.data, rng)
        score, row = _evaluate_one(drawn, paint, body, reconstruct, out_dir / "pictures")
        scores.append(score)
        rows.append(row)
    evaluation = Evaluation(scores, summarise(scores))
    _write_csv(scores, out_dir / "table.csv")
    for start in range(0, len(rows), SHEET_ROWS):
        sheet = np.concatenate(rows[start : start + SHEET_ROWS])
        (out_dir / f"sheet_{start // SHEET_ROWS}.jpg").write_bytes(encode_jpeg(sheet, JPEG_QUALITY))
    terminal().print(as_table(evaluation))
    print_table(by_kind(scores), "Means of the errors' sizes, by kind", terminal())
    return evaluation


def _evaluate_one(
    drawn: Drawn, paint: Paint, body: BodyModel, reconstruct: Reconstruct, pictures: Path
) -> tuple[Score, NDArray[np.uint8]]:
    """Render, reconstruct and score one person; also returns its row of the sheet."""
    sitter, rng = drawn.sitter, drawn.rng
    vertices, joints = body.posed(sitter.body)
    background = random_background(WIDTH, HEIGHT, rng)
    picture, mask = photograph(vertices, body.data, paint, sitter.camera, random_light(rng), background, rng)
    data = encode_jpeg(picture, JPEG_QUALITY)
    data = with_focal_length(data, sitter.camera) if drawn.focal_known else data
    name = f"{sitter.name}.jpg"
    (pictures / name).write_bytes(data)
    try:
        result = reconstruct(data, name)
        person = matched(result, mask)
    except PhotoError:
        person = None
    if person is None:
        row = _sheet_row(sitter, [picture, picture, _side_view([vertices], body)], "not found")
        return Score(sitter.name, sitter.group, sitter.yaw, False, kind_of(sitter, body)), row
    score = score_person(sitter, person, result.camera, joints, mask, picture, body)
    stands = how_it_stands(sitter, person.fit.body, result.gravity, body)
    figures = {name: round(value, 2) for name, value in vars(stands).items()}
    score = replace(score, kind=kind_of(sitter, body), **figures)
    fitted, fitted_joints = body.posed(person.fit.body)
    over = overlay(picture, result.camera, [fitted], body.data.faces)
    aligned = fitted - fitted_joints[0] + joints[0]
    caption = f"{score.mpjpe_20:.1f} cm, PA {score.pa_mpjpe_limbs:.1f}, torso {score.torso_direction:.0f}"
    return score, _sheet_row(sitter, [picture, over, _side_view([vertices, aligned], body)], caption)


def matched(result: PhotoResult, mask: NDArray[np.bool_]) -> PersonResult | None:
    """The reconstructed person whose box is centred nearest to the true mask (H, W), or None if none is near."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    low, high = np.array([columns[0], rows[0]]), np.array([columns[-1] + 1, rows[-1] + 1])

    def distance(person: PersonResult) -> float:
        return float(np.linalg.norm((person.person.box[:2] + person.person.box[2:] - low - high) / 2))

    nearest = min(result.people, key=distance, default=None)
    return nearest if nearest is not None and distance(nearest) < (high - low).max() / 2 else None


def score_person(
    sitter: Sitter,
    found: PersonResult,
    camera: Camera,
    joints: Floats,
    mask: NDArray[np.bool_],
    picture: NDArray[np.uint8],
    body: BodyModel,
) -> Score:
    """The errors of one person; ``joints`` (24, 3), ``mask`` (H, W) and ``picture`` (H, W, 3) are the truth."""
    fit, person = found.fit, found.person
    vertices, fitted = body.posed(fit.body)
    clothed, _ = body.posed(fit.body, fit.offsets)
    drawn = render_textured(clothed, body.data, found.texture.image, camera, supersample=1)
    seen = person.whole_mask(mask.shape)
    landmarks = person.world_landmarks[LIMB_LANDMARKS]
    limbs, limb_hips = joints[LIMB_JOINTS], [LIMB_JOINTS.index(joint) for joint in HIP_JOINTS]
    standing = standing_joints(body)

    def cm(metres: float) -> float:
        return round(100 * metres, 2)

    return Score(
        sitter.name, sitter.group, round(sitter.yaw, 1), True,
        mpjpe=cm(mpjpe(fitted, joints)),
        mpjpe_20=cm(mpjpe(fitted[BODY_JOINTS], joints[BODY_JOINTS])),
        mpjpe_limbs=cm(mpjpe(fitted[LIMB_JOINTS], limbs, limb_hips)),
        pa_mpjpe=cm(pa_mpjpe(fitted, joints)),
        pa_mpjpe_limbs=cm(pa_mpjpe(fitted[LIMB_JOINTS], limbs)),
        torso_direction=round(torso_direction_error(fitted, joints), 2),
        facing=round(facing_error(fitted, joints), 2),
        wrong_age=float((fit.group == CHILD) != (sitter.group == CHILD)),
        stature=round(measure(body, fit.body.betas)["stature"] - measure(body, sitter.body.betas)["stature"], 1),
        mask_iou=round(mask_iou(seen, mask), 4),
        body_iou=round(mask_iou(rasterize(vertices, body.data.faces, camera).mask, mask), 4),
        psnr=round(psnr(drawn.image, picture, mask & drawn.mask), 2),
        landmarks_mpjpe_limbs=cm(mpjpe(landmarks, limbs, limb_hips)),
        landmarks_pa_mpjpe_limbs=cm(pa_mpjpe(landmarks, limbs)),
        standing_mpjpe_20=cm(mpjpe(standing[BODY_JOINTS], joints[BODY_JOINTS])),
        standing_pa_mpjpe_limbs=cm(pa_mpjpe(standing[LIMB_JOINTS], limbs)),
    )  # fmt: skip


def summarise(scores: Sequence[Score]) -> dict[str, tuple[float, float, float]]:
    """Mean, median and 90th percentile of every error's size over the people found; empty where nobody was."""
    found = [score for score in scores if score.found]
    names = [item.name for item in fields(Score) if item.name not in _LABELS]
    columns = {name: np.abs([getattr(score, name) for score in found]) for name in names} if found else {}
    kept = {name: values[np.isfinite(values)] for name, values in columns.items()}
    return {
        name: (float(v.mean()), float(np.median(v)), float(np.percentile(v, 90))) for name, v in kept.items() if v.size
    }


def by_kind(scores: Sequence[Score]) -> list[Row]:
    """Means of the errors' sizes over those found who stand, do not, are seen from a side, or are children."""
    kinds: dict[str, Callable[[Score], bool]] = {
        "all": lambda score: True,
        STANDING: lambda score: score.kind == STANDING,
        **{
            f"{STANDING}, {view}": lambda score, view=view: score.kind == STANDING and view_of(score.yaw) == view  # type: ignore[misc]
            for view in ("front", "side", "back")
        },
        OTHER: lambda score: score.kind != STANDING,
        "adults": lambda score: score.group != "child",
        "children": lambda score: score.group == "child",
    }
    rows: list[Row] = []
    for kind, belongs in kinds.items():
        own = [score for score in scores if score.found and belongs(score)]
        if not own:
            continue
        size = {name: np.abs([getattr(score, name) for score in own]) for name in _BY_KIND}
        leans = [score.lean for score in own]
        rows.append({
            "kind": kind,
            "people": len(own),
            "gravity, rms": float(np.sqrt((size["gravity"] ** 2).mean())),
            "lean, median": float(np.median(size["lean"])),
            "forward": float(np.median(leans)),
            **{name: _known_mean(size[name]) for name in _BY_KIND[2:]},
        })  # fmt: skip
    return rows


def _known_mean(values: Floats) -> float:
    """The mean of the values that are numbers; NaN if there are none."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def with_focal_length(jpeg: bytes, camera: Camera) -> bytes:
    """The picture with EXIF that tells the focal length, in whole millimetres of the 35 mm film, as phones do."""
    exif = Image.Exif()
    equivalent = FILM_DIAGONAL * camera.focal / float(np.hypot(camera.width, camera.height))
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = round(equivalent)
    told = exif.tobytes()
    told = told if told.startswith(b"Exif") else b"Exif\0\0" + told
    return jpeg[:2] + b"\xff\xe1" + (len(told) + 2).to_bytes(2, "big") + told + jpeg[2:]


def as_table(evaluation: Evaluation) -> Table:
    """The summary as a table for the console."""
    rows = [
        ("MPJPE, 24 joints (cm)", "mpjpe", None),
        ("MPJPE, 20 joints (cm)", "mpjpe_20", "standing_mpjpe_20"),
        ("MPJPE, 12 limb joints, from the hips (cm)", "mpjpe_limbs", "landmarks_mpjpe_limbs"),
        ("PA-MPJPE, 24 joints (cm)", "pa_mpjpe", None),
        ("PA-MPJPE, 12 limb joints (cm)", "pa_mpjpe_limbs", "landmarks_pa_mpjpe_limbs"),
        ("torso direction (degrees)", "torso_direction", None),
        ("facing (degrees)", "facing", None),
        ("stature (cm)", "stature", None),
        ("taken for the wrong age (share)", "wrong_age", None),
        ("vertical (degrees)", "gravity", None),
        ("trunk's lean in the scene (degrees)", "lean", None),
        ("soles above the ground, of who stands (cm)", "feet", None),
        ("reaches below the ground (cm)", "below", None),
        ("mask IoU, perception", "mask_iou", None),
        ("mask IoU, body", "body_iou", None),
        ("PSNR where body and truth overlap (dB)", "psnr", None),
    ]
    title = f"{evaluation.found} of {len(evaluation.scores)} people found"
    table = Table("", "mean", "median", "90 %", "baseline (mean / median)", title=title)
    for label, name, baseline in rows:
        if name not in evaluation.summary:
            continue
        beside = ""
        if baseline:
            mean, median, _ = evaluation.summary[baseline]
            beside = (
                f"{'raw landmarks' if baseline.startswith('landmarks') else 'standing mean person'}: {mean:.1f} / "
                f"{median:.1f}"
            )
        table.add_row(label, *(f"{value:.2f}" for value in evaluation.summary[name]), beside)
    return table


def _small_texture(engine: Engine, refine: bool) -> Reconstruct:
    options = Options(texture_size=512, refine=refine)
    return lambda data, name: reconstruct((name, data), engine, options)


def standing_joints(body: BodyModel) -> NDArray[np.float32]:
    """Joints (24, 3) of the mean person standing with arms down and facing the camera."""
    pose = np.zeros((23, 3), np.float32)
    pose[Joint.LEFT_SHOULDER - 1, 2], pose[Joint.RIGHT_SHOULDER - 1, 2] = -ARMS_DOWN, ARMS_DOWN
    return body.posed(
        BodyParameters(np.zeros(10, np.float32), np.array([np.pi, 0, 0], np.float32), pose, np.zeros(3, np.float32))
    )[1]


def _write_csv(scores: Sequence[Score], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = [item.name for item in fields(Score)]
        writer.writerow(names)
        writer.writerows([getattr(score, name) for name in names] for score in scores)


def _side_view(bodies: Sequence[Floats], body: BodyModel) -> NDArray[np.uint8]:
    """Bodies (V, 3) seen from the camera's left, so that depth runs across; the first is the truth."""
    truth = bodies[0]
    middle = (truth.min(0) + truth.max(0)) / 2
    reach = np.ptp(truth, axis=0)[1:].max() * 1.25
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float32)
    # A long lens shows depth without perspective.
    distance = 12.0
    camera = Camera(HEIGHT * distance / reach, (WIDTH / 2, HEIGHT / 2), WIDTH, HEIGHT)
    turned = [((vertices - middle) @ turn.T + [0, 0, distance]).astype(np.float32) for vertices in bodies]
    # `overlay` lets bodies hide each other; drawing them one by one, half transparent, shows both.
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for vertices, opacity in zip(turned, (0.9, 0.55), strict=False):
        tint_as = [vertices] if vertices is turned[0] else [turned[0] + [0, 0, 100], vertices]
        picture = overlay(picture, camera, [part.astype(np.float32) for part in tint_as], body.data.faces, opacity)
    return picture


def _sheet_row(sitter: Sitter, pictures: Sequence[NDArray[np.uint8]], caption: str) -> NDArray[np.uint8]:
    cells = [cv2.resize(image, CELL, interpolation=cv2.INTER_AREA) for image in pictures]
    row = np.ascontiguousarray(np.concatenate(cells, 1), np.uint8)
    for text, place in ((f"{sitter.name} {sitter.group} yaw {sitter.yaw:.0f}", 14), (caption, CELL[1] - 8)):
        cv2.putText(row, text, (6, place), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(row, text, (6, place), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return row
