"""The ``uvatar`` command. What a command needs is imported when it runs, so that asking for help takes no time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands import batch, doctor, servers
from backend.commands.common import (
    DEFAULT_PIPELINE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    OPEN_BODY,
    BodyOption,
    DataOption,
    PipelineOption,
    ServerOption,
    attached,
    console_of,
    fatal,
)
from backend.commands.interrupts import remembered_interrupts

if TYPE_CHECKING:
    from rich.console import Console

    from backend.client import Client
    from backend.export import Exporter, PersonFiles

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Photos of people in, rigged and textured avatars out.

    Try:  uvatar reconstruct me.jpg --out avatars

    A server does the work and keeps its models loaded. It is started when it is needed, and Blender's add-on uses the same one.""",
)


@app.command()
def reconstruct(
    photos: Annotated[list[Path], typer.Argument(help="Photos with people in them, or folders of photos.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that the avatars are written to.")] = Path("avatars"),
    body: BodyOption = OPEN_BODY,
    fast: Annotated[bool, typer.Option("--fast", help="A quick first look: fewer steps, no clothing, no predicted texture.")] = False,
    texture_size: Annotated[int, typer.Option(help="Pixels on a side of the texture: 512, 1024, 2048 or 4096.")] = 1024,
    texture: Annotated[
        str | None,
        typer.Option(
            help="projected: the photo, completed smoothly. predicted: what the Texture Predictor makes of all of it. combined: the "
            "photo, and predicted where it shows nothing. [default: combined where the predictor's weights are installed, else projected]"
        ),
    ] = None,
    texture_seed: Annotated[int, typer.Option(help="Other numbers than 0: variations of the predicted texture.")] = 0,
    clothing: Annotated[bool, typer.Option("--clothing/--no-clothing", help="Shape the body's outline to clothes and hair.")] = True,
    same_person: Annotated[
        bool, typer.Option("--same-person", help="All photos, or all views in one photo, show one person: make one avatar of them.")
    ] = False,
    max_people: Annotated[int, typer.Option(help="At most this many people of each photo, the most prominent first.")] = 32,
    focal: Annotated[float | None, typer.Option(help="Focal length in pixels, if you know better than the photo.")] = None,
    turntable: Annotated[bool, typer.Option("--turntable/--no-turntable", help="Also render eight views around each avatar.")] = True,
    blend: Annotated[bool, typer.Option("--blend/--no-blend", help="Write avatar.blend and avatar.glb (needs Blender).")] = True,
    show: Annotated[bool, typer.Option("--open", help="Open the folder when done, where there is a desktop.")] = False,
    refine: Annotated[bool, typer.Option("--refine/--no-refine", help="Fit to the photo; without, only predict.")] = True,
    from_npz: Annotated[
        Path | None,
        typer.Option(exists=True, help="People from ROMP's or another estimator's .npz, or a folder of <photo>.npz, not from predicting."),
    ] = None,
    export_npz: Annotated[bool, typer.Option("--export-npz", help="Also write <photo>.npz with the keys of ROMP's results.")] = False,
    data: DataOption = None,
    server: ServerOption = None,
    pipeline: PipelineOption = DEFAULT_PIPELINE,
) -> None:
    """Make avatars of the people in photos.

    Each person gets a folder <photo>_p<number> with avatar.blend, avatar.glb, texture.png, overlay.jpg and more.
    Exit code 0: all photos worked. 1: some did not, and the reasons were printed. 2: the command was not understood.
    """
    from backend import export, wire

    options: dict[str, Any] = {
        "body": body,
        "fast": fast,
        "texture_size": texture_size,
        "texture": texture,
        "texture_seed": texture_seed,
        "clothing": clothing,
        "same_person": same_person,
        "max_people": max_people,
        "focal": focal,
        "turntable": turntable,
        "refine": refine,
        "export_npz": export_npz,
    }
    try:
        options = wire.checked_options(options)
    except wire.WireError as error:
        raise typer.BadParameter(f"{error.message} {error.fix}") from error
    console = console_of()
    readable, failures = _read_photos(photos)
    if from_npz and readable:
        readable, options["given_people"], unknown = _given_people(from_npz, readable)
        failures += unknown
    blender = export.blender_command() if blend else None
    if blend and blender is None:
        console.print(
            "No Blender was found, so avatar.blend and avatar.glb are left out. Set UVATAR_BLENDER to its executable to get them."
        )
    people: list[PersonFiles] = []
    if readable:
        exporter = export.Exporter(out, blender)
        try:
            with attached(console, data, server, pipeline) as client:
                again = partial(attached, console, data, server, pipeline)
                people, failed = _Run(console, client, exporter, again).follow(readable, options)
        except KeyboardInterrupt:
            console.print("Cancelled. What was finished is in", str(out))
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (wire.WireError, OSError) as error:
            raise fatal(console, error) from error
        failures += failed
    _report(console, people, failures)
    if people:
        console.print(f"Written to {out}", highlight=False, soft_wrap=True)
        if show and _has_desktop():
            typer.launch(str(out))
    if failures or any(person.problem for person in people):
        raise typer.Exit(EXIT_FAILED)


for command in (batch.batch, servers.serve, servers.status, servers.stop, servers.forget, servers.logs, doctor.doctor):
    app.command()(command)


@app.command()
def weights() -> None:
    """List the weights and models that are installed, check them, and say where your own go and what licence each carries.

    Exit code 1: a file is broken.
    """
    from rich.table import Table

    from backend import weights_report
    from backend.weights import WeightsError, models_folder, weights_folder

    console = console_of()
    try:
        folder = weights_folder()
    except WeightsError as error:
        raise fatal(console, error) from error
    models = models_folder()
    broken = False
    parts = (("Installed with Uvatar", folder, weights_report.shipped(folder)), ("Your own", models, weights_report.brought(models)))
    for title, place, items in parts:
        console.print(f"{title}: {place}", highlight=False, markup=False, soft_wrap=True)
        table = Table("File", "What", "State", "Licence")
        for item in items:
            table.add_row(item.name, item.what, item.state, item.licence)
        console.print(table)
        for item in items:
            if item.remark:
                style = "red" if item.state == weights_report.BROKEN else None
                console.print(f"{item.name}: {item.remark}", style=style, highlight=False, markup=False, soft_wrap=True)
        broken |= any(item.state == weights_report.BROKEN for item in items)
    console.print("UVATAR_MODELS can name another folder for your own files, for example ROMP's: ~/.romp", highlight=False, soft_wrap=True)
    if broken:
        raise typer.Exit(EXIT_FAILED)


@app.command("evaluate-photos")
def evaluate_photos(
    folder: Annotated[Path, typer.Argument(help="Folder of photos.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table, overlays and turntables.")] = Path("evaluation"),
) -> None:
    """Reconstruct a folder of photos and measure how well each avatar lies on its photo."""
    from backend.evaluation.photos import evaluate_photos as run

    run(folder, out)


@app.command("evaluate-synthetic")
def evaluate_synthetic(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and the pictures.")] = Path("evaluation-synthetic"),
    count: Annotated[int, typer.Option(min=1, help="How many people to render.")] = 30,
    seed: Annotated[int, typer.Option(help="Which people: the same number gives the same ones.")] = 0,
    poses: Annotated[
        Path | None, typer.Option(help="npz of poses, or a bank whose held-out blocks are used. [default: those that ship]", exists=True)
    ] = None,
    textures: Annotated[
        Path | None, typer.Option(help="Folder of the open body's textures. [default: made-up outfits]", exists=True)
    ] = None,
) -> None:
    """Render bodies whose pose and shape are known, reconstruct them, and measure the difference in 3D."""
    from backend.evaluation.synthetic import evaluate_synthetic as run

    run(out, poses=poses, textures=textures, count=count, seed=seed)


@app.command("evaluate-starts")
def evaluate_starts(
    folder: Annotated[Path, typer.Argument(help="Folder of photos.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table.")] = Path("evaluation-starts"),
    weights: Annotated[Path | None, typer.Option(help="Mesh Predictor to try. [default: the installed one]", exists=True)] = None,
) -> None:
    """Compare where fitting ends with and without the learned starts: the pose lifter's and the Mesh Predictor's."""
    from backend.evaluation.starts import evaluate_starts as run
    from backend.mesh_predictor.predictor import Predictor

    run(folder, out, Predictor.load(weights) if weights else None)


def main() -> None:
    """Entry point of the ``uvatar`` command."""
    app()


# -- reconstruct ------------------------------------------------------------------------------------------------------


class _Run:
    """One job seen through, with a progress bar for each photo."""

    def __init__(self, console: Console, client: Client, exporter: Exporter, attach_again: Any) -> None:
        """``attach_again``: makes a new client, and a new server if need be, when the old one has gone."""
        self._console = console
        self._client = client
        self._exporter = exporter
        self._attach_again = attach_again
        self._people: list[PersonFiles] = []
        self._failures: list[tuple[str, str]] = []
        self._taken: set[int] = set()

    def follow(self, photos: Sequence[tuple[str, bytes]], options: dict[str, Any]) -> tuple[list[PersonFiles], list[tuple[str, str]]]:
        """Send the photos, show the progress, write each result as it comes: people, and failures as (photo, reason)."""
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        from backend.client import ServerGone

        job = self._client.reconstruct(photos, options)
        name, words = TextColumn("{task.fields[photo]}", markup=False), TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), words)
        with Progress(*columns, console=self._console) as bars, remembered_interrupts() as end_if_interrupted:
            tasks = [bars.add_task("Waiting", total=1.0, start=False, photo=name) for name, _ in photos]
            for attempts_left in (2, 1, 0):
                try:
                    self._watch(job, photos, bars, tasks, end_if_interrupted)
                    break
                except ServerGone:
                    if not attempts_left:
                        raise
                    self._console.print("The server has gone; starting it again. Nothing that was finished is lost.")
                    self._client.close()
                    self._client = self._attach_again()
                except KeyboardInterrupt:
                    self._client.cancel(job)
                    raise
        return self._people, self._failures

    def _watch(
        self, job: str, photos: Sequence[tuple[str, bytes]], bars: Any, tasks: list[Any], end_if_interrupted: Callable[[], None]
    ) -> None:
        for event in self._client.events(job):
            if event["kind"] == "progress":
                left = event["seconds_left"]
                words = event["message"] if left is None else f"{event['message']}, {_duration(left)} left"
                bars.start_task(tasks[event["photo"]])
                bars.update(tasks[event["photo"]], completed=event["fraction"], description=words)
            elif event["kind"] == "photo" and event["photo"] not in self._taken:
                bars.update(tasks[event["photo"]], description="Writing files")
                words = self._take(job, photos[event["photo"]][0], event)
                self._taken.add(event["photo"])
                bars.start_task(tasks[event["photo"]])
                bars.update(tasks[event["photo"]], completed=1.0, description=words)
            end_if_interrupted()

    def _take(self, job: str, name: str, event: dict[str, Any]) -> str:
        """Write what has come of a photo; in a few words, what that is."""
        from backend.client import ServerGone
        from backend.wire import WireError

        if event["state"] == "failed":
            self._failures.append((name, f"{event['error']['message']} {event['error']['fix']}".strip()))
            return "Failed"
        if event["state"] == "merged":
            return "Merged into the same avatar"
        try:
            people = self._exporter.write(self._client.result(job, event["photo"]))
        except ServerGone:
            raise
        except WireError as error:
            self._failures.append((name, f"{error.message} {error.fix}".strip()))
            return "Failed"
        except OSError as error:
            self._failures.append((name, f"Its avatars cannot be written to {self._exporter.out}: {error.strerror or error}."))
            return "Failed"
        self._people += people
        return "1 person" if len(people) == 1 else f"{len(people)} people"


def _read_photos(paths: Sequence[Path]) -> tuple[list[tuple[str, bytes]], list[tuple[str, str]]]:
    """Photos as (name, bytes), and what cannot be read as (path, reason). Folders stand for the photos in them."""
    from backend import wire

    photos, failures = [], []
    for path in paths:
        try:
            inside = sorted(item for item in path.iterdir() if item.suffix.lower() in wire.PHOTO_SUFFIXES) if path.is_dir() else [path]
            if not inside:
                failures.append((str(path), "There are no photos in this folder."))
        except OSError as error:
            failures.append((str(path), f"The folder cannot be read: {error.strerror}."))
            continue
        for file in inside:
            try:
                photos.append((file.name, file.read_bytes()))
            except OSError as error:
                failures.append((str(file), f"The file cannot be read: {error.strerror}. Check its name and permissions."))
    return photos, failures


def _given_people(
    path: Path, photos: Sequence[tuple[str, bytes]]
) -> tuple[list[tuple[str, bytes]], list[dict[str, Any]], list[tuple[str, str]]]:
    """Photos that the result files have people for, those people as they cross the wire, and (photo, reason) of the others."""
    from backend.mesh_predictor.result_file import ResultFileError, ResultFiles
    from backend.wire import photo_name

    files = ResultFiles(path)
    known, people, failures = [], [], []
    for name, data in photos:
        try:
            people.append({"photo": photo_name(name), **files.people(name).as_numbers()})
            known.append((name, data))
        except ResultFileError as error:
            failures.append((name, str(error)))
    return known, people, failures


def _report(console: Console, people: Sequence[PersonFiles], failures: Sequence[tuple[str, str]]) -> None:
    from rich.table import Table

    if people:
        table = Table("Avatar", "Sure", "Landmark error", "Outline match", "Height", "Remarks")
        for person in people:
            facts = person.summary["person"]
            metrics = facts.get("metrics") or {}
            remarks = [*person.summary["notes"], *([f"No .blend and .glb: {person.problem}"] if person.problem else [])]
            table.add_row(
                person.folder.name,
                _percent(facts.get("confidence")),
                _percent(metrics.get("landmark_error_median"), 2),
                _percent(metrics.get("mask_iou")),
                _centimetres((facts.get("measurements") or {}).get("stature")),
                " ".join(remarks),
            )
        console.print(table)
    for name, reason in failures:
        console.print(f"{name}: {reason}", style="red", highlight=False, markup=False, soft_wrap=True)


# -- words ------------------------------------------------------------------------------------------------------------


def _percent(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:.{digits}%}"


def _centimetres(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} cm"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _has_desktop() -> bool:
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
