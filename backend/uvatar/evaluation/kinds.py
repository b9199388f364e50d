"""Labelled test pictures of things, of parts of people, and of whole people whose truth is known.

They test whether an avatar's confidence can be trusted: no thing should become an avatar, and no part a whole body
somewhere else. Every picture depends on its number alone. `write_pictures` makes a folder of them, and `read_pictures`
reads it.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.landmarks import COCO_LANDMARKS
from uvatar.evaluation.cuts import CUTS, cut_window
from uvatar.evaluation.drawings import DRAWINGS
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.poses import load_poses
from uvatar.evaluation.rendering import photograph, random_background, random_light
from uvatar.evaluation.sitters import HEIGHT, WIDTH, random_sitter
from uvatar.evaluation.things import SOLIDS, render_solid
from uvatar.perception.annotated import VISIBLE, read_annotations
from uvatar.photos.decoding import PhotoError, decode_photo
from uvatar.protocol.photo_lists import PHOTO_SUFFIXES

THING, PART, PERSON = "thing", "part", "person"
HIDDEN = "hidden"  # a person who is cut by the frame, small, or half behind something
CUT_SIDE = 320  # pixels; smaller cuts are enlarged to this longer side, as users would do
MISPLACED = 0.15  # share of the person's height
SIZES = (0.6, 1.67)  # relative sizes beyond which a body is not the person's


@dataclass(frozen=True)
class LabelledPicture:
    """A picture and its truth.

    Attributes:
        name: unique; it decides which half the picture belongs to.
        kind: `THING`, `PART`, `HIDDEN` or `PERSON`.
        what: which thing or part it is.
        pixels: (H, W, 3) sRGB.
        keypoints: (17, 3) x, y, flag of the person in COCO's order, also outside the picture; None for things.
        side: longer side of the whole person's box, pixels; NaN for things.
    """

    name: str
    kind: str
    what: str
    pixels: NDArray[np.uint8]
    keypoints: NDArray[np.float32] | None = None
    side: float = float("nan")

    @property
    def held_out(self) -> bool:
        """Whether the picture belongs to the half on which nothing was tuned."""
        return zlib.crc32(self.name.encode()) % 2 == 1

    def misplaced(self, marks: Floats) -> bool:
        """Whether a body with keypoints (17, 2), pixels, is not where the person is, or has a different size."""
        if self.keypoints is None or np.count_nonzero(self.keypoints[:, 2]) < 3:
            return self.keypoints is None
        height, width = self.pixels.shape[:2]
        known = self.keypoints[:, 2] > 0
        seen = known & np.all((self.keypoints[:, :2] >= 0) & (self.keypoints[:, :2] <= (width, height)), axis=1)
        errors = np.linalg.norm(marks - self.keypoints[:, :2], axis=1) / self.side
        size = _extent(marks[known]) / max(_extent(self.keypoints[known, :2]), 1e-6)
        return bool((seen.any() and np.median(errors[seen]) > MISPLACED) or not SIZES[0] < size < SIZES[1])


def write_pictures(
    folder: Path, body: BodyModel, annotated: Path | None = None, things_in: Sequence[Path] = (), count: int = 100
) -> None:
    """Make pictures of all kinds in mixed order: PNGs, and their truth in ``truth.jsonl``.

    Args:
        folder: where they are written.
        body: the body of rendered people.
        annotated: folder of photos with COCO annotations, for real people and parts of them.
        things_in: folders of pictures without people, which are used as they are.
        count: number of things, and roughly of parts of rendered people; a quarter as many rendered people.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rendered = list(synthetic_people(body, count // 4))
    real = list(annotated_people(annotated)) if annotated else []
    sources = [
        things(count),
        parts(rendered, count // 8),
        parts(real, count // 6),
        iter(rendered),
        iter(real),
        real_things(things_in),
    ]
    with (folder / "truth.jsonl").open("w", encoding="utf-8") as truth:
        for picture in (one for row in itertools.zip_longest(*sources) for one in row if one is not None):
            done, data = cv2.imencode(".png", picture.pixels[..., ::-1])
            assert done
            (folder / f"{picture.name}.png").write_bytes(bytes(data))
            keypoints = None if picture.keypoints is None else picture.keypoints.round(1).tolist()
            line = {
                "name": picture.name,
                "kind": picture.kind,
                "what": picture.what,
                "keypoints": keypoints,
                "side": picture.side,
            }
            truth.write(json.dumps(line) + "\n")


def read_pictures(folder: Path) -> Iterator[LabelledPicture]:
    """The pictures that `write_pictures` made, in order."""
    for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        pixels = decode_photo((folder / f"{entry['name']}.png").read_bytes(), entry["name"]).pixels
        keypoints = None if entry["keypoints"] is None else np.array(entry["keypoints"], np.float32)
        yield LabelledPicture(entry["name"], entry["kind"], entry["what"], pixels, keypoints, float(entry["side"]))


def real_things(folders: Sequence[Path]) -> Iterator[LabelledPicture]:
    """Pictures of things from folders, in the order of their names; unreadable ones are left out."""
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES):
            try:
                yield LabelledPicture(
                    f"real_{path.stem}", THING, "real", decode_photo(path.read_bytes(), path.name).pixels
                )
            except PhotoError:
                continue


def _extent(points: Floats) -> float:
    """Spread of points (K, 2), pixels, which changes less than the height when a person bends."""
    return float(np.sqrt(np.sum(np.var(points, axis=0))))


def things(count: int) -> Iterator[LabelledPicture]:
    """Rendered and drawn things, three rendered ones for each drawn one."""
    for number in range(count):
        rng = np.random.default_rng([16, number])
        if number % 4:
            maker = SOLIDS[(number - number // 4) % len(SOLIDS)]
            yield LabelledPicture(
                f"thing_{number:03d}_{maker.__name__}", THING, maker.__name__, render_solid(maker(rng), rng)
            )
        else:
            draw = DRAWINGS[number // 4 % len(DRAWINGS)]
            yield LabelledPicture(f"thing_{number:03d}_{draw.__name__}", THING, draw.__name__, draw(rng))


def synthetic_people(body: BodyModel, count: int) -> Iterator[LabelledPicture]:
    """Rendered people in poses that nothing was fitted to, entirely inside the picture."""
    bank = load_poses(None)
    for number in range(count):
        rng = np.random.default_rng([17, number])
        sitter = random_sitter(f"{number:03d}", bank[rng.integers(len(bank))], body, rng)
        vertices, _ = body.posed(sitter.body)
        background = random_background(WIDTH, HEIGHT, rng)
        pixels, mask = photograph(
            vertices, body.data, random_outfit(body.data, rng), sitter.camera, random_light(rng), background, rng
        )
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        marks = projected(body, sitter.body, sitter.camera)
        # keypoints facing away are still known, but no face is visible
        flags = np.full(17, float(VISIBLE))
        if abs(sitter.yaw) > 60:
            flags[:3] = 1
        side = float(max(np.ptp(rows), np.ptp(columns)))
        yield LabelledPicture(
            f"synthetic_{number:03d}",
            PERSON,
            "synthetic",
            pixels,
            np.column_stack([marks, flags]).astype(np.float32),
            side,
        )


def annotated_people(folder: Path) -> Iterator[LabelledPicture]:
    """Real people with human annotations (`uvatar.perception.annotated`); cut, small or hidden ones are `HIDDEN`."""
    for annotation in read_annotations(folder):
        pixels = decode_photo((folder / annotation.file).read_bytes(), annotation.file).pixels
        kind = PERSON if annotation.full_body else HIDDEN
        yield LabelledPicture(
            f"annotated_{Path(annotation.file).stem}", kind, "annotated", pixels, annotation.keypoints, annotation.side
        )


def parts(people: Sequence[LabelledPicture], most: int) -> Iterator[LabelledPicture]:
    """Cuts of people in mixed order, at most ``most`` of each kind of cut."""
    taken = dict.fromkeys(CUTS, 0)
    for index in np.random.default_rng(18).permutation(len(people) * len(CUTS)):
        whole, kind = people[index // len(CUTS)], list(CUTS)[index % len(CUTS)]
        if taken[kind] < most and (cut := part(whole, kind)) is not None:
            taken[kind] += 1
            yield cut


def part(whole: LabelledPicture, kind: str) -> LabelledPicture | None:
    """The part ``kind`` of a whole person, enlarged if it is small; None if there is no such part."""
    if whole.keypoints is None:
        return None
    height, width = whole.pixels.shape[:2]
    known = whole.keypoints[whole.keypoints[:, 2] > 0, :2]
    if len(known) < 3:
        return None
    box = np.concatenate([known.min(0), known.max(0)])
    window = cut_window(kind, whole.keypoints, box, width, height)
    if window is None:
        return None
    x0, y0, x1, y1 = window
    scale = max(1.0, CUT_SIDE / max(x1 - x0, y1 - y0))
    pixels = cv2.resize(whole.pixels[y0:y1, x0:x1], None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    keypoints = whole.keypoints.copy()
    keypoints[:, :2] = (keypoints[:, :2] - [x0, y0]) * scale
    return LabelledPicture(
        f"{kind} of {whole.name}", PART, kind, np.asarray(pixels, np.uint8), keypoints, whole.side * scale
    )


def projected(body: BodyModel, parameters: BodyParameters, camera: Camera) -> NDArray[np.float32]:
    """(17, 2) pixels: COCO's keypoints of a body."""
    return camera.project(body.landmarks_of(parameters))[COCO_LANDMARKS]
