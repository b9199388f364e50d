"""`uvatar evaluate around --photos`: avatars of real people from the sides that no photo shows, without a truth.

Each photo is reconstructed once; its full people are then textured in the ways of `completions`. Garments are those
that filling by material tells apart, whatever made the texture.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from uvatar.data.view import View
from uvatar.engine.engine import Engine
from uvatar.engine.finish import without_shells
from uvatar.evaluation.baselines import MATERIALS, completions
from uvatar.evaluation.photo_sheets import close_up
from uvatar.evaluation.photos import is_full, measure_person
from uvatar.evaluation.reconstructed import reconstructed
from uvatar.evaluation.tables import Row, print_table, write_csv
from uvatar.evaluation.unseen import unseen_figures
from uvatar.geometry.raster import rasterize
from uvatar.results.result import PersonResult, PhotoResult
from uvatar.runtime.terminal import terminal

_FIGURES = ("detail", "least detail", "off material", "background", "hands from face", "own view", "s")


def evaluate_photos_around(folder: Path, out: Path, engine: Engine | None = None) -> Sequence[Row]:
    """Measure the sides that no photo shows of all full people of a folder; people.csv and garments.csv in ``out``.

    Photos that cannot be used are reported and left out. Returns the means by completion.
    """
    engine, console = engine or Engine.load(), terminal()
    out.mkdir(parents=True, exist_ok=True)
    people: list[Row] = []
    garments: list[Row] = []
    for path, result in reconstructed(folder, engine, console):
        for number, person in enumerate(result.people):
            view, _, _, others = close_up(person.person, result)
            bare = rasterize(engine.body.posed(person.fit.body)[0], engine.body.data.faces, view).mask
            if not is_full(person.person, result.camera, bare, others):
                continue
            for row, details in _rows(result, person, engine):
                named: Row = {"photo": path.name, "person": number, **row}
                people.append(named)
                garments += [
                    {
                        "photo": path.name,
                        "person": number,
                        "completion": row["completion"],
                        "garment": name,
                        "detail": d,
                    }
                    for name, d in details.items()
                ]
    write_csv(people, out / "people.csv")
    write_csv(garments, out / "garments.csv")
    return _report(people, garments, console)


def _rows(result: PhotoResult, person: PersonResult, engine: Engine) -> Iterator[tuple[Row, dict[str, float]]]:
    """The figures of one person by completion, and the detail ratio of each garment."""
    view = View(result.photo, without_shells(person.person, person.fit), result.camera, person.fit)
    made, seconds = {}, {}
    for how, make in completions(engine.atlases.at(len(person.texture.image)), engine.body, engine.face).items():
        started = time.process_time()
        made[how] = make(view)
        seconds[how] = time.process_time() - started
    known = made[MATERIALS]
    _, photo, mask, others = close_up(person.person, result)
    for how, texture in made.items():
        texture = replace(texture, materials=known.materials, material_names=known.material_names)
        backdrop = photo[~mask & ~others]
        figures = unseen_figures(texture, person.fit, result.camera, backdrop, engine.body, person.parts)
        textured = replace(person, texture=texture)
        own = measure_person("", 0, result, textured, engine.body, 0, figures).psnr_person
        values = (
            figures.detail, figures.least_detail, figures.off_material, figures.background, figures.skin, own,
            seconds[how],
        )  # fmt: skip
        yield {"completion": how, **dict(zip(_FIGURES, values, strict=True))}, dict(figures.garments)


def _report(people: Sequence[Row], garments: Sequence[Row], console: Console) -> Sequence[Row]:
    rows: list[Row] = []
    for how in dict.fromkeys(str(row["completion"]) for row in people):
        own = [row for row in people if row["completion"] == how]
        details = [float(row["detail"]) for row in garments if row["completion"] == how]
        means = {name: float(np.nanmean([float(row[name]) for row in own])) for name in _FIGURES}
        poor = f"{sum(value < 0.4 for value in details)} of {len(details)}"
        rows.append({"completion": how, "people": len(own), **means, "garments below .4": poor})
    print_table(rows, "Real people from the sides that no photo shows", console)
    return rows
