"""The ``uvatar`` command. What a command needs is imported when it runs, so that asking for help takes no time."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvatar.commands import batch, doctor, servers
from uvatar.commands.common import (
    DEFAULT_PIPELINE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    OPEN_BODY,
    BodyOption,
    DataOption,
    PipelineOption,
    ServerOption,
    UncertainOption,
    attached,
    blender_of,
    console_of,
    fatal,
)

if TYPE_CHECKING:
    from rich.console import Console

    from uvatar.commands.running import Order
    from uvatar.files.export import PersonFiles

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Photos of people in, rigged and textured avatars out.

    Try:  uvatar reconstruct me.jpg --out avatars

    A server does the work and keeps its models loaded. It is started when it is needed,
    and Blender's add-on uses the same one.""",
)


@app.command()
def reconstruct(
    photos: Annotated[
        list[Path], typer.Argument(help="Photos with people in them, or folders of photos.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that the avatars are written to.")] = Path("avatars"),
    body: BodyOption = OPEN_BODY,
    fast: Annotated[
        bool, typer.Option("--fast", help="A quick first look: fewer steps, no clothing, no predicted texture.")
    ] = False,
    texture_size: Annotated[int, typer.Option(help="Pixels on a side of the texture: 512, 1024, 2048 or 4096.")] = 1024,
    texture: Annotated[
        str | None,
        typer.Option(
            help="projected: the photo, completed smoothly. predicted: what the Texture Predictor makes of all of "
            "it. combined: the "
            "photo, and predicted where it shows nothing. [default: combined where the predictor's weights are "
            "installed, else projected]"
        ),
    ] = None,
    texture_seed: Annotated[int, typer.Option(help="Other numbers than 0: variations of the predicted texture.")] = 0,
    clothing: Annotated[
        bool, typer.Option("--clothing/--no-clothing", help="Shape the body's outline to clothes and hair.")
    ] = True,
    same_person: Annotated[
        bool,
        typer.Option(
            "--same-person", help="All photos, or all views in one photo, show one person: make one avatar of them."
        ),
    ] = False,
    max_people: Annotated[
        int, typer.Option(help="At most this many people of each photo, the most prominent first.")
    ] = 32,
    uncertain: UncertainOption = False,
    focal: Annotated[
        float | None, typer.Option(help="Focal length in pixels, if you know better than the photo.")
    ] = None,
    turntable: Annotated[
        bool, typer.Option("--turntable/--no-turntable", help="Also render eight views around each avatar.")
    ] = True,
    blend: Annotated[
        bool, typer.Option("--blend/--no-blend", help="Write avatar.blend and avatar.glb (needs Blender).")
    ] = True,
    show: Annotated[bool, typer.Option("--open", help="Open the folder when done, where there is a desktop.")] = False,
    refine: Annotated[
        bool, typer.Option("--refine/--no-refine", help="Fit to the photo; without, only predict.")
    ] = True,
    from_npz: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="People from ROMP's or another estimator's .npz, or a folder of <photo>.npz, not from predicting.",
        ),
    ] = None,
    export_npz: Annotated[
        bool, typer.Option("--export-npz", help="Also write <photo>.npz with the keys of ROMP's results.")
    ] = False,
    data: DataOption = None,
    server: ServerOption = None,
    pipeline: PipelineOption = DEFAULT_PIPELINE,
) -> None:
    """Make avatars of the people in photos.

    Each person gets a folder <photo>_p<number> with avatar.blend, avatar.glb, texture.png, overlay.jpg and more.
    Exit code 0: all photos worked. 1: some did not, and the reasons were printed. 2: the command was not understood.
    """
    from uvatar.commands.running import Run
    from uvatar.files import export
    from uvatar.files.avatar_folders import prepare
    from uvatar.files.photo_files import gathered
    from uvatar.protocol.errors import UvatarError
    from uvatar.protocol.options import checked_options

    options: dict[str, Any] = {
        "body": body,
        "fast": fast,
        "texture_size": texture_size,
        "texture": texture,
        "texture_seed": texture_seed,
        "clothing": clothing,
        "same_person": same_person,
        "max_people": max_people,
        "uncertain": uncertain,
        "focal": focal,
        "turntable": turntable,
        "refine": refine,
        "export_npz": export_npz,
    }
    try:
        options = checked_options(options)
    except UvatarError as error:
        raise typer.BadParameter(f"{error.message} {error.fix}") from error
    console = console_of()
    found, failures = gathered(photos)
    orders, unknown = _orders(found, from_npz)
    failures += unknown
    blender = blender_of(console) if blend else None
    people: list[PersonFiles] = []
    ended: typer.Exit | None = None
    if orders:
        run = Run(console, partial(attached, console, data, server, pipeline), export.Exporter(out, blender))
        try:
            prepare(out)
            run.follow(orders, options)
        except KeyboardInterrupt:
            console.print(f"Cancelled. What was finished is in {out}", soft_wrap=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (UvatarError, OSError) as error:
            if not run.people:
                raise fatal(console, error) from error
            ended = fatal(console, error)
        people, failures = run.people, failures + run.failures
    _report(console, people, failures)
    if people:
        console.print(f"Written to {out}", soft_wrap=True)
        if show and _has_desktop():
            typer.launch(str(out))
    if ended or failures or any(person.problem for person in people):
        raise typer.Exit(EXIT_FAILED)


for command in (batch.batch, servers.serve, servers.status, servers.stop, servers.forget, servers.logs, doctor.doctor):
    app.command()(command)


@app.command()
def weights() -> None:
    """List the weights and models that are installed, check them, and say where your own go and what licence each
    carries.

    Exit code 1: a file is broken.
    """
    from rich.table import Table

    from uvatar.commands import weights_report
    from uvatar.runtime.weights import WeightsError, models_folder, weights_folder

    console = console_of()
    try:
        folder = weights_folder()
    except WeightsError as error:
        raise fatal(console, error) from error
    models = models_folder()
    broken = False
    parts = (
        ("Installed with Uvatar", folder, weights_report.shipped(folder)),
        ("Your own", models, weights_report.brought(models)),
    )
    for title, place, items in parts:
        console.print(f"{title}: {place}", soft_wrap=True)
        table = Table("File", "What", "State", "Licence")
        for item in items:
            table.add_row(item.name, item.what, item.state, item.licence)
        console.print(table)
        for item in items:
            if item.remark:
                style = "red" if item.state == weights_report.BROKEN else None
                console.print(f"{item.name}: {item.remark}", style=style, soft_wrap=True)
        broken |= any(item.state == weights_report.BROKEN for item in items)
    console.print(
        "UVATAR_MODELS can name another folder for your own files, for example ROMP's: ~/.romp", soft_wrap=True
    )
    if broken:
        raise typer.Exit(EXIT_FAILED)


@app.command("evaluate-photos")
def evaluate_photos(
    folder: Annotated[Path, typer.Argument(help="Folder of photos.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table, overlays and turntables.")] = Path(
        "evaluation"
    ),
) -> None:
    """Reconstruct a folder of photos and measure how well each avatar lies on its photo."""
    _prepare(out)
    from uvatar.evaluation.photos import evaluate_photos as run

    run(folder, out)


@app.command("evaluate-synthetic")
def evaluate_synthetic(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and the pictures.")] = Path(
        "evaluation-synthetic"
    ),
    count: Annotated[int, typer.Option(min=1, help="How many people to render.")] = 30,
    seed: Annotated[int, typer.Option(help="Which people: the same number gives the same ones.")] = 0,
    poses: Annotated[
        Path | None,
        typer.Option(
            help="npz of poses, or a bank whose held-out blocks are used. [default: those that ship]", exists=True
        ),
    ] = None,
    textures: Annotated[
        Path | None, typer.Option(help="Folder of the open body's textures. [default: made-up outfits]", exists=True)
    ] = None,
) -> None:
    """Render bodies whose pose and shape are known, reconstruct them, and measure the difference in 3D."""
    _prepare(out)
    from uvatar.evaluation.synthetic import evaluate_synthetic as run

    run(out, poses=poses, textures=textures, count=count, seed=seed)


@app.command("evaluate-starts")
def evaluate_starts(
    folder: Annotated[Path, typer.Argument(help="Folder of photos.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table.")] = Path("evaluation-starts"),
    weights: Annotated[
        Path | None, typer.Option(help="Mesh Predictor to try. [default: the installed one]", exists=True)
    ] = None,
) -> None:
    """Compare where fitting ends with and without the learned starts: the pose lifter's and the Mesh Predictor's."""
    _prepare(out)
    from uvatar.evaluation.starts import evaluate_starts as run
    from uvatar.mesh_predictor.predictor import Predictor

    run(folder, out, Predictor.load(weights) if weights else None)


def _prepare(out: Path) -> None:
    """See that something can be written there before hours of work; end the command where it cannot."""
    from uvatar.files.avatar_folders import prepare
    from uvatar.protocol.errors import UvatarError

    try:
        prepare(out)
    except UvatarError as error:
        raise fatal(console_of(), error) from error


def main() -> None:
    """Entry point of the ``uvatar`` command."""
    from uvatar.protocol.errors import UvatarError
    from uvatar.runtime.terminal import print_anything

    print_anything()
    try:
        app()
    except UvatarError as error:  # of no command's own: there is no place for the data, for example
        sys.exit(f"{error.message} {error.fix}".strip())


# -- reconstruct ------------------------------------------------------------------------------------------------------


def _orders(photos: Sequence[tuple[Path, int]], results: Path | None) -> tuple[list[Order], list[tuple[str, str]]]:
    """Photos (path, bytes) with their people where ``results`` names result files, and (photo, reason) of those that
    have none there.
    """
    from uvatar.commands.running import Order

    if results is None or not photos:
        return [Order(path, size) for path, size in photos], []
    from uvatar.mesh_predictor.result_file import ResultFileError, ResultFiles  # takes seconds
    from uvatar.protocol.photo_lists import photo_name

    files = ResultFiles(results)
    orders, failures = [], []
    for path, size in photos:
        name = photo_name(path.name)
        try:
            orders.append(Order(path, size, {"photo": name, **files.people(path.name).as_numbers()}))
        except ResultFileError as error:
            failures.append((name, str(error)))
    return orders, failures


def _report(console: Console, people: Sequence[PersonFiles], failures: Sequence[tuple[str, str]]) -> None:
    from rich.table import Table

    if people:
        table = Table("Avatar", "Sure", "Landmark error", "Outline match", "Height", "Remarks")
        for person in people:
            facts = person.summary["person"]
            metrics = facts.get("metrics") or {}
            own = [note for note in person.summary["notes"] if note not in person.about_photo]
            remarks = [*own, *([f"No .blend and .glb: {person.problem}"] if person.problem else [])]
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


# -- words ------------------------------------------------------------------------------------------------------------


def _about(name: str, words: str) -> str:
    """Words about a photo, with its name before them where they do not name it."""
    return words if name in words else f"{name}: {words}"


def _percent(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:.{digits}%}"


def _centimetres(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} cm"


def _has_desktop() -> bool:
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
