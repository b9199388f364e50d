"""`uvatar evaluate around`: what avatars look like from the sides that their photo does not show.

People with a known texture are rendered under a soft light; one picture is textured with the true fit, and the avatar
is compared with the truth from eight sides. The light turns with the camera, as a photographer's would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel, load_open_body
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.view import View
from uvatar.evaluation.metrics import masked_ssim, psnr
from uvatar.evaluation.poses import drawn_poses, load_poses
from uvatar.evaluation.rendering import (
    Light,
    Paint,
    photograph,
    random_background,
    random_outfit,
    read_paint,
    texture_files,
)
from uvatar.evaluation.sitters import HEIGHT, WIDTH, Sitter, random_sitter
from uvatar.evaluation.structure_metrics import detail, detail_ratio, patch_distance
from uvatar.evaluation.tables import Row, print_table, write_csv
from uvatar.geometry import rotations
from uvatar.photos.encoding import encode_jpeg
from uvatar.results.preview import render_textured
from uvatar.runtime.terminal import terminal
from uvatar.texturing import Texture, texture_person
from uvatar.texturing.atlas import Atlas

VIEWS = 8
# Which of the views, in steps of 45 degrees, are averaged.
SIDES = {"photo": (0,), "front": (1, 7), "side": (2, 6), "back": (3, 4, 5)}
# Gradient energy of the truth's back from which a person counts as patterned, in units of `detail`.
_PATTERNED = 60.0

MakeTexture = Callable[[View], Texture]


@dataclass(frozen=True)
class RenderedPerson:
    """A person whose whole surface is known.

    Attributes:
        sitter: body and camera.
        view: the photo with what perfect perception and fitting would say of it.
        truth: (8, H, W, 3) uint8, from all sides, the photo's first.
        masks: (8, H, W) bool.
        bodies: (8, V, 3) vertices in front of the camera for each of these pictures.
        camera: of these pictures.
    """

    sitter: Sitter
    view: View
    truth: Sequence[NDArray[np.uint8]]
    masks: Sequence[NDArray[np.bool_]]
    bodies: Sequence[NDArray[np.float32]]
    camera: Camera

    @property
    def patterned(self) -> bool:
        """Whether there is a pattern on the back."""
        back = VIEWS // 2
        return detail(self.truth[back], self.masks[back]) > _PATTERNED


def evaluate_around(
    out: Path,
    texture: MakeTexture | None = None,
    textures: Path | None = None,
    count: int = 16,
    seed: int = 0,
    size: int = 512,
    body: BodyModel | None = None,
) -> Sequence[Row]:
    """Render people, texture them from one picture each, and compare them with the truth from all sides.

    Args:
        out: folder for table.csv and a sheet per person, the truth above the avatar.
        texture: makes a texture of a view; by default `texture_person` without the Texture Predictor.
        textures: folder of UV textures (png, jpg) of the open body; by default painted outfits.
        count: number of people.
        seed: of everything random.
        size: texels on a side.
        body: that is rendered; by default the open body.

    Returns one row per person and group of views.
    """
    body = body or load_open_body()
    atlas = Atlas.of(body, size)
    texture = texture or (lambda view: texture_person([view], atlas))
    files = texture_files(textures) if textures else []
    bank = load_poses(None)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for number, (name, pose, rng) in enumerate(drawn_poses(bank, count, seed)):
        paint = read_paint(files[number % len(files)]) if files else random_outfit(body.data, rng)
        person = rendered_person(name, pose, paint, body, rng)
        made = texture(person.view)
        drawn = [_seen(person, index, made, body) for index in range(VIEWS)]
        rows += scores(person, drawn)
        sheet = np.concatenate([np.concatenate(list(person.truth), 1), np.concatenate(drawn, 1)])
        (out / f"{name}.jpg").write_bytes(encode_jpeg(sheet, 95))
    write_csv(rows, out / "table.csv")
    print_table(summary(rows), f"{count} people from {VIEWS} sides", terminal())
    return rows


def rendered_person(
    name: str,
    pose: Floats,
    paint: Paint,
    body: BodyModel,
    rng: np.random.Generator,
    make_light: Callable[[np.random.Generator], Light] | None = None,
) -> RenderedPerson:
    """A random person in ``pose`` (24, 3), seen from the front half and rendered from all sides; ``make_light``: None
    for `studio_light`.
    """
    while True:
        sitter = random_sitter(name, pose, body, rng)
        if abs(sitter.yaw) < 45:
            break
    vertices, joints = body.posed(sitter.body)
    light = (make_light or studio_light)(rng)
    background = random_background(WIDTH, HEIGHT, rng)
    pixels, mask = photograph(vertices, body.data, paint, sitter.camera, light, background, rng)
    camera = sitter.camera.cropped((0, 0, WIDTH, HEIGHT), 0.5)
    grey = np.full((camera.height, camera.width, 3), 160, np.uint8)
    bodies = [_turned(vertices, joints[0], 2 * np.pi * index / VIEWS) for index in range(VIEWS)]
    pictures = [
        photograph(turned, body.data, paint, camera, light, grey, np.random.default_rng(0)) for turned in bodies
    ]
    view = View(
        Photo(pixels, None, "0" * 64),
        _person(mask, body, sitter),
        sitter.camera,
        Fit(sitter.body, np.zeros_like(vertices), 0.0, 0.0, 1.0),
    )
    truth, masks = [picture for picture, _ in pictures], [inside for _, inside in pictures]
    return RenderedPerson(sitter, view, truth, masks, bodies, camera)


def studio_light(rng: np.random.Generator) -> Light:
    """Mostly from the sky, with a soft light from before the person: what photos of people are usually taken in."""
    towards = np.array([rng.normal(0, 0.5), -rng.uniform(0.3, 0.8), -1.0])
    return Light(
        towards / np.linalg.norm(towards), rng.uniform(0.35, 0.55) * np.ones(3), rng.uniform(0.5, 0.65) * np.ones(3)
    )


def _person(mask: NDArray[np.bool_], body: BodyModel, sitter: Sitter) -> Person:
    rows, columns = np.nonzero(mask)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
    points = body.landmarks_of(sitter.body)
    landmarks = np.column_stack([sitter.camera.project(points), np.ones(len(points))]).astype(np.float32)
    nobody = np.zeros(mask.shape, np.uint8)
    return Person(
        box=box, score=1.0, landmarks=landmarks, world_landmarks=np.zeros((len(points), 3), np.float32),
        window=(0, 0, mask.shape[1], mask.shape[0]), mask=mask.astype(np.uint8) * np.uint8(255), others=nobody,
    )  # fmt: skip


def _turned(vertices: Floats, about: Floats, angle: float) -> NDArray[np.float32]:
    """Vertices (V, 3) turned about the vertical through ``about`` (3,), radians."""
    turned: NDArray[np.float32] = ((vertices - about) @ rotations.about_y(angle).T + about).astype(np.float32)
    return turned


def _seen(person: RenderedPerson, index: int, made: Texture, body: BodyModel) -> NDArray[np.uint8]:
    """The avatar (H, W, 3) from one of the sides, unlit: its texture carries the light."""
    grey = np.full_like(person.truth[index], 160)
    return render_textured(person.bodies[index], body.data, made.image, person.camera, grey).image


def scores(person: RenderedPerson, drawn: Sequence[NDArray[np.uint8]]) -> list[Row]:
    """A row for each group of views."""
    rows: list[Row] = []
    for side, views in SIDES.items():
        measured = [
            (psnr(image, truth, mask), masked_ssim(image, truth, mask), detail_ratio(image, truth, mask),
             patch_distance(image, truth, mask))
            for image, truth, mask in ((drawn[k], person.truth[k], person.masks[k]) for k in views)
        ]  # fmt: skip
        mean = np.mean(measured, 0)
        figures = dict(zip(("PSNR", "SSIM", "detail", "patches"), map(float, mean), strict=True))
        kind = "patterned" if person.patterned else "plain"
        rows.append({"person": person.sitter.name, "kind": kind, "view": side, **figures})
    return rows


def summary(rows: Sequence[Row]) -> list[Row]:
    """Means over the people, by kind of clothes and group of views; the detail ratio's is the geometric one."""
    result: list[Row] = []
    for kind in ("patterned", "plain"):
        for side in SIDES:
            own = [row for row in rows if row["kind"] == kind and row["view"] == side]
            if not own:
                continue
            figures = {name: float(np.mean([float(row[name]) for row in own])) for name in ("PSNR", "SSIM", "patches")}
            ratio = float(np.exp(np.mean(np.log([max(float(row["detail"]), 1e-3) for row in own]))))
            result.append({"kind": kind, "people": len(own), "view": side, **figures, "detail": ratio})
    return result
