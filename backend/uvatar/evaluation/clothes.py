"""`uvatar evaluate clothes`: the form of avatars from all sides, against people in clothes whose form is known.

People stand in garments that are meshes of their own (`dressed_people`), and are lit and photographed. Clothing is
given the picture, the true outline, vertical and body, so that its own errors are measured alone, and two baselines are
made from the same: the bare body, and the body whose surface follows the outline, without bridging, shoes, skirts and
hair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from uvatar.body import BodyModel
from uvatar.clothing.offsets import clothing_offsets
from uvatar.data.arrays import Floats
from uvatar.data.fit import Fit
from uvatar.data.view import View
from uvatar.engine.engine import Engine
from uvatar.engine.finish import clothe
from uvatar.engine.shells import dressed_mesh
from uvatar.evaluation.dressed_people import KINDS, OUTFITS, DressedPerson, Outfit, can_wear, dressed
from uvatar.evaluation.dressed_pictures import picture_of, sheet, view_of
from uvatar.evaluation.forms import SIDES, Form, FormErrors, form_errors
from uvatar.evaluation.garments import load_garments
from uvatar.evaluation.poses import drawn_poses, load_poses
from uvatar.evaluation.sampling import Viewpoints
from uvatar.evaluation.sitters import POPULATION, Sitter, random_sitter
from uvatar.evaluation.splits import poses_of
from uvatar.evaluation.standing import STANDING, kind_of
from uvatar.evaluation.tables import Row, markdown, print_table, write_csv
from uvatar.photos.encoding import encode_jpeg
from uvatar.protocol.options import DEFAULT_OPTIONS
from uvatar.runtime.terminal import terminal

AVATAR, OFFSETS, NAKED = WAYS = ("avatar", "offsets alone", "naked body")
_VIEWPOINTS = Viewpoints(front_share=1.0, front_yaw=25.0, pitch=(4, 4), pitch_range=(-4, 12))
OUTLINE_SCALE = 0.75  # of the pictures in which outlines are compared
_MOST_DRAWN = 40  # poses that are drawn for each person, of which one may stand

Make = Callable[[View, DressedPerson], Fit]


def evaluate_clothes(
    out: Path, rounds: int = 1, seed: int = 0, split: str = "final", engine: Engine | None = None
) -> list[Row]:
    """Dress people, make avatars of a picture of each, and compare forms from all sides.

    Args:
        out: folder for the tables and a sheet per person: truth, avatar, offsets alone, each from all sides.
        rounds: how often every outfit is worn, each time by somebody else.
        seed: of everything random.
        split: of the outfits and poses, "tuning" or "final".
        engine: what is loaded; by default loaded here.

    Returns one row per person and way.
    """
    engine, console = engine or Engine.load(), terminal()
    out.mkdir(parents=True, exist_ok=True)
    ways = ways_of(engine)
    rows: list[Row] = []
    for person, rng in dressed_people(engine.body, rounds, seed, split):
        view = view_of(person, *picture_of(person, rng), engine)
        made = {way: dressed_mesh(make(view, person), engine.body) for way, make in ways.items()}
        camera = view.camera.cropped((0, 0, view.camera.width, view.camera.height), OUTLINE_SCALE)
        up = np.array(person.sitter.up)
        truth = Form.of(person.vertices, person.faces, person.pelvis, camera, up)
        for way, mesh in made.items():
            rows.append(_row(person, way, form_errors(Form.of(*mesh, person.pelvis, camera, up), truth)))
        pictures = sheet(view, person, [made[AVATAR], made[OFFSETS]])
        (out / f"{person.sitter.name}_{person.outfit.kind}.jpg").write_bytes(encode_jpeg(pictures, 92))
        console.print(f"{person.sitter.name}: {person.outfit.kind}, {person.outfit.garment}")
    write_csv(rows, out / "people.csv")
    table = summary(rows)
    write_csv(table, out / "table.csv")
    (out / "table.md").write_text(markdown(table), encoding="utf-8")
    print_table(table, f"Clothes, {split}: forms against the truth", console)
    return rows


def ways_of(engine: Engine) -> Mapping[str, Make]:
    """How each of `WAYS` makes a fit of a view whose body is the true one."""

    def offsets_alone(view: View, _: DressedPerson) -> Fit:
        return replace(view.fit, offsets=clothing_offsets(view.fit, view.person, view.camera, engine.clothing))

    return {
        AVATAR: lambda view, person: clothe(view, engine, DEFAULT_OPTIONS, person.sitter.up),
        OFFSETS: offsets_alone,
        NAKED: lambda view, _: view.fit,
    }


def dressed_people(
    body: BodyModel, rounds: int, seed: int, split: str
) -> Iterator[tuple[DressedPerson, np.random.Generator]]:
    """Everybody of a split in every outfit, ``rounds`` times, with the source of what else is random about them."""
    garments, poses = load_garments(body.data), poses_of(split, load_poses(None))
    for number, outfit in enumerate(list(OUTFITS[split]) * rounds):
        sitter, rng = _sitter(f"{number:03d}", outfit, poses, seed * 1000 + number, body)
        yield dressed(sitter, outfit, garments, body, rng), rng


def _sitter(name: str, outfit: Outfit, poses: Floats, seed: int, body: BodyModel) -> tuple[Sitter, np.random.Generator]:
    """Somebody who stands so that the outfit can be worn; of a man's or a woman's form, as the garment's."""
    group = "male" if outfit.garment.startswith("male") else "female"
    shares = (1.0, 0.0, 0.0) if group == "male" else (0.0, 1.0, 0.0)
    for _, pose, rng in drawn_poses(poses, _MOST_DRAWN, seed):
        sitter = random_sitter(name, pose, body, rng, replace(POPULATION, shares=shares), _VIEWPOINTS)
        if kind_of(sitter, body) == STANDING and can_wear(outfit, pose, body):
            return sitter, rng
    raise ValueError("Nobody of the poses stands.")


def _row(person: DressedPerson, way: str, errors: FormErrors) -> Row:
    outlines = {f"IoU {angle}": iou for angle, iou in zip(SIDES, errors.iou, strict=True)}
    return {
        "person": person.sitter.name, "kind": person.outfit.kind, "way": way, **outlines,
        "to surface cm": errors.to_surface, "Chamfer cm": errors.chamfer, "normals": errors.normals,
    }  # fmt: skip


def summary(rows: Sequence[Row]) -> list[Row]:
    """Means over the people, by kind of clothes and way, and over all kinds."""
    result: list[Row] = []
    for kind in (*KINDS, "all"):
        for way in WAYS:
            own = [row for row in rows if row["way"] == way and kind in (row["kind"], "all")]
            if own:
                figures = [key for key in own[0] if key not in ("person", "kind", "way")]
                means = {key: float(np.mean([float(row[key]) for row in own])) for key in figures}
                result.append({"kind": kind, "people": len(own), "way": way, **means})
    return result
