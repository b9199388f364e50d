"""`uvatar evaluate around`: what avatars look like from the sides that their photo does not show.

People with a known texture are rendered under a soft light; one picture is textured with the true fit, and the avatar
is compared with the truth from eight sides, beside what simpler completions make of the same picture. The light turns
with the camera, as a photographer's would.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel, load_open_body
from uvatar.data.texture import Texture
from uvatar.evaluation.baselines import MakeTexture, completions
from uvatar.evaluation.metrics import masked_ssim, psnr
from uvatar.evaluation.outfits import PaintedOutfit, Worn, random_outfit
from uvatar.evaluation.perceptual import FeatureMaps, feature_maps, perceptual_distance
from uvatar.evaluation.poses import drawn_poses, load_poses
from uvatar.evaluation.rendered_people import NOTHING, VIEWS, RenderedPerson, rendered_person
from uvatar.evaluation.rendering import Paint, read_paint, texture_files
from uvatar.evaluation.structure_metrics import detail_ratio, patch_distance
from uvatar.evaluation.tables import Row, print_table, write_csv
from uvatar.evaluation.wrong_material import wrong_material
from uvatar.photos.encoding import encode_jpeg
from uvatar.results.preview import render_textured
from uvatar.runtime.terminal import terminal
from uvatar.texturing.layout.atlas import Atlas

# Which of the views, in steps of 45 degrees, are averaged.
SIDES = {"photo": (0,), "front": (1, 7), "side": (2, 6), "back": (3, 4, 5)}
WHOLE, PLAIN, PATTERNED = "person", "plain", "patterned"
_LEAST_PIXELS = 400  # of a material that is compared
_FIGURES = ("PSNR", "SSIM", "perceptual", "patches", "detail", "wrong")
_GREY = 160


def evaluate_around(
    out: Path,
    makers: Mapping[str, MakeTexture] | None = None,
    textures: Path | None = None,
    count: int = 16,
    seed: int = 0,
    size: int = 512,
    body: BodyModel | None = None,
) -> Sequence[Row]:
    """Render people, texture them from one picture each, and compare them with the truth from all sides.

    Args:
        out: folder for table.csv and a sheet per person, the truth above each completion.
        makers: make a texture of a view, by name; by default those of `completions`.
        textures: folder of UV textures (png, jpg) of the open body; by default painted outfits. Of these it is not
            known where which material is.
        count: number of people.
        seed: of everything random.
        size: texels on a side.
        body: that is rendered; by default the open body.

    Returns a row per person, completion, kind of clothes and group of views.
    """
    body = body or load_open_body()
    makers = makers or completions(Atlas.of(body, size), body)
    files = texture_files(textures) if textures else []
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for number, (name, pose, rng) in enumerate(drawn_poses(load_poses(None), count, seed)):
        paint = read_paint(files[number % len(files)]) if files else random_outfit(body.data, rng)
        person = rendered_person(name, pose, paint, body, rng)
        features = [feature_maps(picture) for picture in person.truth]
        sheet = [np.concatenate(list(person.truth), 1)]
        for how, make in makers.items():
            started = time.process_time()
            made = make(person.view)
            seconds = time.process_time() - started
            drawn = [_seen(person, index, made, body) for index in range(VIEWS)]
            seen = [_view(person, index, image, features[index]) for index, image in enumerate(drawn)]
            rows += [{"person": name, "completion": how, **row, "s": seconds} for row in scores(seen, paint)]
            sheet.append(np.concatenate(drawn, 1))
        (out / f"{name}.jpg").write_bytes(encode_jpeg(np.concatenate(sheet), 95))
    write_csv(rows, out / "table.csv")
    print_table(summary(rows), f"{count} people from {VIEWS} sides", terminal())
    return rows


def _seen(person: RenderedPerson, index: int, made: Texture, body: BodyModel) -> NDArray[np.uint8]:
    """The avatar (H, W, 3) from one of the sides, unlit: its texture carries the light."""
    grey = np.full_like(person.truth[index], _GREY)
    return render_textured(person.bodies[index], body.data, made.image, person.camera, grey).image


@dataclass(frozen=True)
class _View:
    """An avatar and the truth from one side.

    Attributes:
        image, truth: (H, W, 3).
        mask: (H, W) where the person is.
        worn: (H, W) `Worn`, `NOTHING` at eyes and where nobody is; None if it is not known.
        wrong: (H, W) where it is the wrong material.
        features: of image and truth.
    """

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    worn: NDArray[np.uint8] | None
    wrong: NDArray[np.bool_] | None
    features: tuple[FeatureMaps | None, FeatureMaps | None]


def _view(person: RenderedPerson, index: int, image: NDArray[np.uint8], features: FeatureMaps | None) -> _View:
    truth, mask = person.truth[index], person.masks[index]
    worn = wrong = None
    if person.worn is not None:
        worn = np.where(mask & (person.worn[index] != Worn.EYES), person.worn[index], NOTHING).astype(np.uint8)
        wrong = wrong_material(image, truth, worn)
    return _View(image, truth, mask, worn, wrong, (feature_maps(image), features))


def scores(seen: Sequence[_View], paint: Paint) -> Iterator[Row]:
    """A row for the whole person and for each kind of clothes, and each group of views; ``seen`` from all sides."""
    kinds = {WHOLE: set(Worn) - {Worn.EYES}}
    if isinstance(paint, PaintedOutfit):
        for kind, patterned in ((PLAIN, False), (PATTERNED, True)):
            kinds[kind] = {worn for worn, fabric in paint.fabrics.items() if fabric.patterned == patterned}
    for kind, materials in kinds.items():
        for side, views in SIDES.items():
            measured = [_figures(seen[index], kind, materials) for index in views]
            known = [figures for figures in measured if figures is not None]
            if known:
                mean = np.mean(known, 0)
                yield {"clothes": kind, "view": side, **dict(zip(_FIGURES, map(float, mean), strict=True))}


def _figures(view: _View, kind: str, materials: set[Worn]) -> tuple[float, ...] | None:
    """`_FIGURES` of one view, of all of the person or of some materials alone; None where little of these is seen."""
    image, truth, mask = view.image, view.truth, view.mask
    if view.worn is None or view.wrong is None:
        patches, wrong = patch_distance(image, truth, mask), float("nan")
    else:
        areas = [area for area in (view.worn == material for material in materials) if area.sum() > _LEAST_PIXELS]
        if not areas:
            return None
        mask = mask if kind == WHOLE else np.any(areas, 0)
        sizes = [float(area.sum()) for area in areas]
        patches = float(np.average([patch_distance(image, truth, area) for area in areas], weights=sizes))
        wrong = float(view.wrong[mask].mean())
    return (
        psnr(image, truth, mask), masked_ssim(image, truth, mask), perceptual_distance(*view.features, mask),
        patches, detail_ratio(image, truth, mask), wrong,
    )  # fmt: skip


def summary(rows: Sequence[Row]) -> list[Row]:
    """Means over the people, by kind of clothes, group of views and completion; the detail ratio's is the median."""
    result: list[Row] = []
    for kind in (WHOLE, PLAIN, PATTERNED):
        for side in SIDES:
            for how in dict.fromkeys(str(row["completion"]) for row in rows):
                own = [row for row in rows if (row["clothes"], row["view"], row["completion"]) == (kind, side, how)]
                if own:
                    means = {name: float(np.mean([float(row[name]) for row in own])) for name in (*_FIGURES, "s")}
                    means["detail"] = float(np.median([float(row["detail"]) for row in own]))
                    result.append({"clothes": kind, "people": len(own), "view": side, "completion": how, **means})
    return result
