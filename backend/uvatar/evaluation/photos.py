"""`uvatar evaluate photos`: measures how well avatars match their photos, for a folder of photos.

The table has one row per person, with overlays and turntables beside it. A row is *full* if its figures cover the whole
person: head, hips, knees, ankles and feet are inside the photo and seen by the landmark model, the person is at least
300 pixels tall, and at most 15 % of the body is behind other people. If the folder contains human annotations (COCO's
``annotations.json`` with a ``LICENSES.tsv``), landmarks and masks are also compared with those, both for the raw
landmarks and for the fitted body.

All figures are in the picture plane: a body that wrongly leans towards the camera scores as well as an upright one.
`uvatar.evaluation.synthetic` measures depth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from uvatar.body import BodyModel
from uvatar.data.camera import Camera
from uvatar.data.landmarks import ANKLES, COCO_LANDMARKS, HEAD, HIPS, KNEES, TOES
from uvatar.data.person import Person
from uvatar.evaluation.keypoints import by_group, keypoint_row
from uvatar.evaluation.metrics import (
    flat_colour_psnr,
    landmark_error,
    masked_ssim,
    missing_as_grey,
    psnr,
    spoilt_shares,
)
from uvatar.evaluation.photo_sheets import close_up, dressed, write_pictures
from uvatar.evaluation.tables import Row, markdown, print_table, write_csv
from uvatar.evaluation.unseen import UnseenFigures, background_coloured, unseen_figures
from uvatar.files.photo_files import photos_in, read_photo
from uvatar.fitting.observations import with_seen_hands
from uvatar.geometry.masks import mask_iou
from uvatar.geometry.raster import rasterize
from uvatar.perception.annotated import Annotation, keypoint_errors, match, read_annotations
from uvatar.photos.decoding import PhotoError
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.photo_lists import shown
from uvatar.results import preview
from uvatar.runtime.terminal import terminal

if TYPE_CHECKING:
    from uvatar.data.arrays import Floats
from uvatar.results.result import PersonResult, PhotoResult

Reconstruct = Callable[[bytes, str], "PhotoResult"]

FULL_HEIGHT = 300  # pixels
FULL_HIDDEN = 0.15  # share of the body behind other people
VISIBLE = 0.5
LEGS = [*HIPS, *KNEES, *ANKLES, *TOES]

# Targets for every full person: column, and greatest or least value.
AT_MOST = {"landmark median %": 0.8, "landmark p95 %": 2.5}
AT_LEAST = {"IoU body": 0.78, "IoU clothed": 0.94, "PSNR overlap": 26.0, "PSNR mask": 23.0}


@dataclass(frozen=True)
class PersonFigures:
    """One person of one photo. Lengths in pixels of the photo, shares 0..1, PSNR in decibels.

    Attributes:
        landmark_median, landmark_p95: distance of the body's landmarks from the seen ones, per cent of the box side.
        iou_body, iou_clothed: outline of the body, without and with clothing, against the person's mask, where no
            other person is.
        psnr_overlap: the rendered avatar against the photo where body and mask overlap.
        psnr_person: the same without the pixels of the mask that have the colour of the background beside them: what
            an avatar leaves out there is no loss.
        psnr_mask: as ``psnr_overlap`` over the whole mask; what the body does not cover counts as mid-grey.
        psnr_flat: one flat colour over the whole mask: the baseline for both.
        ssim_mask: structural similarity in windows cut at the mask.
        black, background: shares of the overlap that are wrongly black or background-coloured.
        detail_behind, least_detail, off_material, background_texels, skin_distance: as `UnseenFigures`.
        seconds: the photo's time divided by its people.
    """

    photo: str
    person: int
    full: bool
    height: float
    landmark_median: float
    landmark_p95: float
    iou_body: float
    iou_clothed: float
    psnr_overlap: float
    psnr_person: float
    psnr_mask: float
    psnr_flat: float
    ssim_mask: float
    black: float
    background: float
    detail_behind: float
    least_detail: float
    off_material: float
    background_texels: float
    skin_distance: float
    seconds: float

    def row(self) -> Row:
        """The figures by the table's column names."""
        names = {
            "landmark_median": "landmark median %", "landmark_p95": "landmark p95 %", "iou_body": "IoU body",
            "iou_clothed": "IoU clothed",
            "psnr_overlap": "PSNR overlap", "psnr_person": "PSNR not background",
            "psnr_mask": "PSNR mask", "psnr_flat": "PSNR flat colour",
            "ssim_mask": "SSIM mask",
            "black": "black share", "background": "background share",
            "detail_behind": "detail behind", "least_detail": "least detail behind",
            "off_material": "off material", "background_texels": "background texels",
            "skin_distance": "hands from face",
            "seconds": "s", "height": "px",
        }  # fmt: skip
        return {names.get(key, key): value for key, value in asdict(self).items()}


def evaluate_photos(
    folder: Path,
    out: Path,
    reconstruct: Reconstruct | None = None,
    body: BodyModel | None = None,
    console: Console | None = None,
) -> list[PersonFigures]:
    """Reconstruct and measure every photo in a folder; print the tables, and write them and the pictures.

    Photos that cannot be used are reported and left out.

    Args:
        folder: the photos.
        out: where tables and pictures are written.
        reconstruct: turns a photo's bytes and name into a result; by default all stages.
        body: the body model that ``reconstruct`` fits.
        console: where the tables are printed.

    Returns:
        the figures of all people.
    """
    console = console or terminal()
    if reconstruct is None or body is None:
        from uvatar.engine import reconstruct as stages
        from uvatar.engine.engine import Engine

        engine = Engine.load()
        reconstruct, body = lambda data, name: stages.reconstruct((name, data), engine), engine.body
    annotations = {a.file: a for a in read_annotations(folder)} if (folder / "annotations.json").is_file() else {}
    out.mkdir(parents=True, exist_ok=True)
    figures: list[PersonFigures] = []
    agreements: list[_Agreement] = []
    for path in photos_in(folder):
        annotation = annotations.get(path.name)
        started = time.perf_counter()
        try:
            result = reconstruct(read_photo(path), path.name)
        except (PhotoError, UvatarError) as error:
            console.print(f"{shown(path.name)}: {error}")
            if annotation:
                agreements.append(_Agreement.missed(annotation))
            continue
        seconds = (time.perf_counter() - started) / max(len(result.people), 1)
        for number, person in enumerate(result.people):
            figures.append(measure_person(path.name, number, result, person, body, seconds))
        write_pictures(out, path.stem, result, body)
        if annotation:
            agreements.append(_agreement(annotation, result, body))
        console.print(f"{shown(path.name)}: {len(result.people)} found, {seconds:.1f} s each")
    _report(figures, agreements, out, console)
    return figures


def measure_person(
    photo_name: str,
    number: int,
    result: PhotoResult,
    person: PersonResult,
    body: BodyModel,
    seconds: float,
    unseen: UnseenFigures | None = None,
) -> PersonFigures:
    """All figures of one person; colours are compared at a box side of at most `COMPARED_SIDE` pixels.

    ``unseen``: the texture's, where they are known already.
    """
    seen, fit = person.person, person.fit
    side = seen.side
    marks = result.camera.project(body.landmarks_of(fit.body))
    judged = with_seen_hands(seen.landmarks, seen)
    landmarks = landmark_error(marks, judged[:, :2], judged[:, 2] > VISIBLE, side)

    view, photo, mask, others = close_up(seen, result)
    bare, _ = body.posed(fit.body)
    clothed, mesh, image = dressed(person, body)
    bare_mask = rasterize(bare, body.data.faces, view).mask
    grey = np.full_like(photo, 128)
    avatar = preview.render_textured(clothed, mesh, image, view, grey)
    overlap = (avatar.coverage > 0.99) & mask
    spoilt = spoilt_shares(avatar.image, photo, overlap, ~mask & ~others)
    kept = overlap & ~background_coloured(photo, mask, ~mask & ~others)
    if unseen is None:
        unseen = unseen_figures(person.texture, fit, result.camera, photo[~mask & ~others], body, person.parts)
    return PersonFigures(
        photo=photo_name,
        person=number,
        full=is_full(seen, result.camera, bare_mask, others),
        height=float(seen.box[3] - seen.box[1]),
        landmark_median=100 * landmarks.median,
        landmark_p95=100 * landmarks.p95,
        iou_body=mask_iou(bare_mask, mask, ~others),
        iou_clothed=mask_iou(avatar.mask, mask, ~others),
        psnr_overlap=psnr(avatar.image, photo, overlap),
        psnr_person=psnr(avatar.image, photo, kept),
        psnr_mask=psnr(missing_as_grey(avatar.image, avatar.coverage > 0), photo, mask),
        psnr_flat=flat_colour_psnr(photo, mask),
        ssim_mask=masked_ssim(avatar.image, photo, mask),
        black=spoilt.black,
        background=spoilt.background,
        detail_behind=unseen.detail,
        least_detail=unseen.least_detail,
        off_material=unseen.off_material,
        background_texels=unseen.background,
        skin_distance=unseen.skin,
        seconds=seconds,
    )


def is_full(person: Person, camera: Camera, body: NDArray[np.bool_], others: NDArray[np.bool_]) -> bool:
    """Whether the figures cover the whole person (see the module's description).

    ``body`` and ``others`` (H, W): where the bare body and the other people are in a picture.
    """
    hidden = np.count_nonzero(body & others) / max(np.count_nonzero(body), 1)
    x, y, visibility = person.landmarks.T
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    seen = inside & (visibility > VISIBLE)
    # One toe may hide behind the other foot.
    whole = seen[HEAD].any() and inside[LEGS].all() and seen[LEGS].sum() >= len(LEGS) - 1
    return bool(whole and person.box[3] - person.box[1] >= FULL_HEIGHT and hidden <= FULL_HIDDEN)


@dataclass(frozen=True)
class _Agreement:
    """One annotated person: keypoint errors of raw landmarks and body, and mask IoUs; empty if missed."""

    full_body: bool
    raw: NDArray[np.float32] | None = None
    body: NDArray[np.float32] | None = None
    mask_iou: float = float("nan")
    clothed_iou: float = float("nan")

    @classmethod
    def missed(cls, annotation: Annotation) -> _Agreement:
        return cls(annotation.full_body)


def _agreement(annotation: Annotation, result: PhotoResult, body: BodyModel) -> _Agreement:
    person = match([p.person for p in result.people], annotation)
    if person is None:
        return _Agreement.missed(annotation)
    fit = next(p.fit for p in result.people if p.person is person)
    height, width = result.photo.pixels.shape[:2]
    outline = annotation.mask(width, height)
    mask = person.whole_mask(outline.shape)
    drawn = rasterize(body.posed(fit.body, fit.offsets)[0], body.data.faces, result.camera).mask
    return _Agreement(
        annotation.full_body,
        keypoint_errors(person.landmarks[COCO_LANDMARKS, :2], annotation),
        keypoint_errors(result.camera.project(body.landmarks_of(fit.body))[COCO_LANDMARKS], annotation),
        mask_iou(mask, outline),
        mask_iou(drawn, outline),
    )


def _report(figures: Sequence[PersonFigures], agreements: Sequence[_Agreement], out: Path, console: Console) -> None:
    rows = [person.row() for person in figures]
    full = [row for row in rows if row["full"]]
    sections = {"People": rows, "Full people": _summary(full), "Against the targets": _targets(full)}
    if agreements:
        sections["Against human annotations"] = _annotation_rows(agreements)
    write_csv(rows, out / "table.csv")
    sections = {title: part for title, part in sections.items() if part}
    (out / "table.md").write_text(
        "\n".join(f"## {title}\n\n{markdown(part)}" for title, part in sections.items()), encoding="utf-8"
    )
    for title, part in sections.items():
        print_table(part, title, console)


def _summary(rows: Sequence[Row]) -> list[Row]:
    """Mean, median, minimum and maximum of every figure."""
    if not rows:
        return []
    names = [name for name, value in rows[0].items() if isinstance(value, float)]
    values = {name: np.array([float(row[name]) for row in rows]) for name in names}
    kinds: dict[str, Callable[[Floats], float]] = {
        "mean": np.nanmean,
        "median": np.nanmedian,
        "min": np.nanmin,
        "max": np.nanmax,
    }
    return [
        {"of": kind, "people": len(rows), **{name: float(reduce(values[name])) for name in names}}
        for kind, reduce in kinds.items()
    ]


def _targets(rows: Sequence[Row]) -> list[Row]:
    """How many full people meet each target, and who is farthest from it."""
    result: list[Row] = []
    for targets, sign, word in ((AT_MOST, 1, "at most"), (AT_LEAST, -1, "at least")):
        for name, target in targets.items():
            worst = max(rows, key=lambda row: sign * float(row[name]), default=None)
            if worst is not None:
                met = sum(sign * float(row[name]) <= sign * target for row in rows)
                who = f"{worst['photo']} p{worst['person']}"
                met_of = f"{met} of {len(rows)}"
                result.append(
                    {
                        "figure": name,
                        "target": f"{word} {target:g}",
                        "met": met_of,
                        "worst": float(worst[name]),
                        "in": who,
                    }
                )
    return result


def _annotation_rows(agreements: Sequence[_Agreement]) -> list[Row]:
    rows: list[Row] = []
    for group, members in by_group(agreements):
        found = [a for a in members if a.raw is not None]
        for source, errors, ious in (
            ("raw landmarks, mask", [a.raw for a in found], [a.mask_iou for a in found]),
            ("fitted body, clothed outline", [a.body for a in found], [a.clothed_iou for a in found]),
        ):
            if found:
                row = keypoint_row(group, source, len(members), [e for e in errors if e is not None])
                rows.append({**row, "IoU mean": float(np.nanmean(ious)), "IoU median": float(np.nanmedian(ious))})
    return rows
