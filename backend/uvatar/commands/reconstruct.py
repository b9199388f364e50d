"""The command for some photos: `uvatar reconstruct`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvatar.commands.common import (
    DEFAULT_GLB,
    DEFAULT_PIPELINE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    BlendOption,
    ClipsOption,
    DataOption,
    DeviceOption,
    EvenLightOption,
    GlbOption,
    LodsOption,
    PageOption,
    PipelineOption,
    ServerOption,
    WebpOption,
    attached,
    blender_of,
    console_of,
    fatal,
    presets_of,
)

if TYPE_CHECKING:
    from rich.console import Console

    from uvatar.commands.running import PendingPhoto, Run
    from uvatar.files.export import PersonFiles


def reconstruct(
    photos: Annotated[list[Path], typer.Argument(help="Photos of people, or folders of photos.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the avatars to.")] = Path("avatars"),
    *,
    options: dict[str, Any],
    from_npz: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="Use people from another estimator's .npz (such as ROMP's), a .json of joints, or a folder of "
            "<photo>.npz or <photo>.json.",
        ),
    ] = None,
    blend: BlendOption = True,
    glb: GlbOption = DEFAULT_GLB,
    lods: LodsOption = False,
    webp: WebpOption = False,
    clips: ClipsOption = False,
    even_light: EvenLightOption = True,
    page: PageOption = True,
    show: Annotated[bool, typer.Option("--open", help="Open the folder when done, if there is a desktop.")] = False,
    device: DeviceOption = None,
    data: DataOption = None,
    server: ServerOption = None,
    pipeline: PipelineOption = DEFAULT_PIPELINE,
) -> None:
    """Make avatars from photos of people.

    Each person gets a folder <photo>_p<number> with avatar.html, avatar.blend, avatar.glb, texture.png and more.
    Exit code 0: all photos worked. 1: some did not, and the reasons were printed. 2: the command was not understood.
    """
    from uvatar.commands.running import Run
    from uvatar.files import export
    from uvatar.files.photo_files import gathered

    console = console_of()
    found, failures = gathered(photos)
    pending, unknown = pending_photos(found, from_npz)
    blender = blender_of(console) if blend else None
    run = Run(
        console,
        partial(attached, console, data, server, pipeline, device),
        export.Exporter(out, blender, presets_of(glb, webp, clips, even_light), page, lods),
    )
    ended = _follow(run, pending, options) if pending else None
    failures = [*failures, *unknown, *run.failures]
    report(console, run.people, failures)
    if run.people:
        console.print(f"Written to {out}", soft_wrap=True)
        if show and _has_desktop():
            typer.launch(str(out))
    if ended or failures or any(person.problem for person in run.people):
        raise typer.Exit(EXIT_FAILED)


def _follow(run: Run, pending: Sequence[PendingPhoto], options: dict[str, Any]) -> typer.Exit | None:
    """Process the photos.

    Returns:
        the exit to raise after the report if the work stopped early, else None.

    Raises:
        typer.Exit: Ctrl+C was pressed, or the work stopped before any avatar was written.
    """
    from uvatar.files.avatar_folders import prepare
    from uvatar.protocol.errors import UvatarError

    out = run.exporter.out
    try:
        prepare(out)
        run.follow(pending, options)
    except KeyboardInterrupt:
        run.console.print(f"Cancelled. Finished avatars are in {out}", soft_wrap=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (UvatarError, OSError) as error:
        ended = fatal(run.console, error)
        if not run.people:
            raise ended from error
        return ended
    return None


def pending_photos(
    photos: Sequence[tuple[Path, int]], results: Path | None
) -> tuple[list[PendingPhoto], list[tuple[str, str]]]:
    """Pair the photos (path, size in bytes) with their people from another estimator's ``results``, if given.

    Returns:
        the pending photos, and (photo, reason) for the photos that have no usable entry in ``results``.
    """
    from uvatar.commands.running import PendingPhoto

    if results is None or not photos:
        return [PendingPhoto(path, size) for path, size in photos], []
    from uvatar.files.joint_files import people_of_joints  # takes seconds
    from uvatar.mesh_predictor.result_file import ResultFileError, ResultFiles
    from uvatar.protocol.photo_lists import photo_name

    files = ResultFiles(results)
    pending, failures = [], []
    for path, size in photos:
        name = photo_name(path.name)
        try:
            joints = results / f"{path.stem}.json" if results.is_dir() else results
            others = results.is_dir() and joints.with_suffix(".npz").is_file()  # then .json is something about it
            of_joints = joints.suffix.lower() == ".json" and joints.is_file() and not others
            people = people_of_joints(joints) if of_joints else files.people(path.name)
            pending.append(PendingPhoto(path, size, {"photo": name, **people.as_numbers()}))
        except ResultFileError as error:
            failures.append((name, str(error)))
    return pending, failures


def report(console: Console, people: Sequence[PersonFiles], failures: Sequence[tuple[str, str]]) -> None:
    """Print a table of the avatars, and notes about the photos."""
    from rich.table import Table

    if people:
        table = Table("Avatar", "Sure", "Landmark error", "Outline match", "Height", "Remarks")
        for person in people:
            facts = person.summary["person"]
            metrics = facts.get("metrics") or {}
            own = [note for note in person.summary["notes"] if note not in person.about_photo]
            remarks = [*own, *([f"Files are missing: {person.problem}"] if person.problem else [])]
            table.add_row(
                person.folder.name,
                _percent(facts.get("confidence")),
                _percent(metrics.get("landmark_error_median"), 2),
                _percent(metrics.get("mask_iou")),
                _centimetres((facts.get("measurements") or {}).get("stature")),
                " ".join(remarks),
            )
        console.print(table)
    for name, note in dict.fromkeys(
        (person.summary["photo"]["name"], note) for person in people for note in person.about_photo
    ):
        console.print(_about(name, note), soft_wrap=True)
    for name, reason in failures:
        console.print(_about(name, reason), style="red", soft_wrap=True)


def _about(name: str, words: str) -> str:
    """A message about a photo, preceded by the photo's name unless it contains the name."""
    return words if name in words else f"{name}: {words}"


def _percent(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:.{digits}%}"


def _centimetres(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} cm"


def _has_desktop() -> bool:
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
