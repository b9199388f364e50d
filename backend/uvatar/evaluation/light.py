"""`uvatar evaluate light`: how much of a photo's light stays in textures, as photographed and in even light.

People whose true colours are known are rendered in a soft and in a hard light, and textured with the true fit. Compared
is brightness, in natural log, after its median has been matched: nobody can tell a dark shirt in a bright light from a
bright one in the shade.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel, load_open_body
from uvatar.data.arrays import Floats
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.poses import drawn_poses, load_poses
from uvatar.evaluation.rendered_people import rendered_person, studio_light
from uvatar.evaluation.rendering import Light, Paint, random_light
from uvatar.evaluation.tables import Row, print_table, write_csv
from uvatar.photos.colour import LUMA, linear_from_srgb
from uvatar.photos.encoding import encode_jpeg
from uvatar.protocol.even_light import evenly_lit
from uvatar.runtime.terminal import terminal
from uvatar.texturing import texture_person
from uvatar.texturing.layout.atlas import Atlas

LIGHTS: Mapping[str, Callable[[np.random.Generator], Light]] = {"soft": studio_light, "hard": random_light}
_LEAST = 300  # texels of a material on either side that are compared
_DARKEST = 2e-3  # linear light: what is darker is black, and tells nothing


def evaluate_light(
    out: Path, count: int = 16, seed: int = 0, size: int = 512, body: BodyModel | None = None
) -> Sequence[Row]:
    """Render people, texture them, and compare the textures with the true colours.

    Args:
        out: folder for table.csv and the textures, as photographed beside even.
        count: number of people, half of them in either light.
        seed: of everything random.
        size: texels on a side.
        body: that is rendered; by default the open body.

    Returns a row per person.
    """
    body = body or load_open_body()
    atlas = Atlas.of(body, size)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for number, (name, pose, rng) in enumerate(drawn_poses(load_poses(None), count, seed)):
        kind = list(LIGHTS)[number % len(LIGHTS)]
        paint = random_outfit(body.data, rng)
        person = rendered_person(name, pose, paint, body, rng, LIGHTS[kind])
        texture = texture_person([person.view], atlas)
        rows.append({"person": name, "light": kind, **light_figures(texture, paint, atlas)})
        if texture.light is not None:
            both = np.concatenate([texture.image, evenly_lit(texture.image, texture.light)], 1)
            (out / f"{name}.jpg").write_bytes(encode_jpeg(both, 95))
    write_csv(rows, out / "table.csv")
    print_table(summary(rows), f"{count} people: light left in the texture", terminal())
    return rows


def light_figures(texture: Texture, paint: Paint, atlas: Atlas) -> dict[str, float]:
    """What is left of the light: the mean difference from the true brightness of what the photo shows, and the
    difference between the seen and the unseen side of the same material; of both textures.
    """
    truth = _brightness(np.clip(_true_colours(paint, atlas), 0, 1))
    pictures = {"": texture.image}
    if texture.light is not None:
        pictures[" even"] = evenly_lit(texture.image, texture.light)
    body = atlas.of_first_vertex(atlas.surface.eye) == 0
    label = texture.source.ravel()[atlas.table.pixel]
    seen, unseen = body & (label == Label.SEEN), body & (label != Label.SEEN)
    figures = {}
    for name, picture in pictures.items():
        luma = _brightness(linear_from_srgb(picture).reshape(-1, 3)[atlas.table.pixel])
        left = luma - truth
        figures[f"seen{name}"] = float(np.abs(left[seen] - np.median(left[seen])).mean())
        figures[f"sides{name}"] = _apart(luma, seen, unseen, texture, atlas)
    return figures


def _apart(luma: Floats, seen: NDArray[np.bool_], unseen: NDArray[np.bool_], texture: Texture, atlas: Atlas) -> float:
    """Mean difference of the medians of a material's seen and unseen texels, by area; NaN where none has both."""
    if texture.materials is None:
        return float("nan")
    material = texture.materials.ravel()[atlas.table.pixel]
    apart, area = [], []
    for index in range(1, len(texture.material_names) + 1):
        before, behind = seen & (material == index), unseen & (material == index)
        if min(before.sum(), behind.sum()) >= _LEAST:
            apart.append(abs(float(np.median(luma[before]) - np.median(luma[behind]))))
            area.append(int(behind.sum()))
    return float(np.average(apart, weights=area)) if apart else float("nan")


def _true_colours(paint: Paint, atlas: Atlas) -> Floats:
    """Linear light (T, 3) of the texels, unlit."""
    table, data = atlas.table, atlas.body.data
    rest = table.interpolate(data.v_template, data.faces)
    uv = table.interpolate_corners(data.in_network_layout().uv[data.face_uv])
    return paint(rest, uv, data.part[data.faces[table.face, 0]])


def _brightness(colours: Floats) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(colours @ LUMA, _DARKEST)), np.float64)


def summary(rows: Sequence[Row]) -> list[Row]:
    """Means over the people, by light."""
    result: list[Row] = []
    for kind in LIGHTS:
        own = [row for row in rows if row["light"] == kind]
        names = [name for name in (own[0] if own else {}) if name not in ("person", "light")]
        if own:
            means = {name: float(np.nanmean([float(row.get(name, np.nan)) for row in own])) for name in names}
            result.append({"light": kind, "people": len(own), **means})
    return result
