"""The command for thousands of photos: `uvatar batch`."""

from __future__ import annotations

from collections.abc import Callable
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
from uvatar.commands.interrupts import remembered_interrupts

if TYPE_CHECKING:
    from rich.console import Console

    from uvatar.service.batch.record import PhotoOutcome
    from uvatar.service.batch.run import BatchTotals

AHEAD = 4  # photos queued on the server ahead of time, for each model process


def batch(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of photos (subfolders included), a text file with one path per line, or a photo.", exists=True
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the avatars, the record and the report.")],
    options: dict[str, Any],
    blend: BlendOption = True,
    glb: GlbOption = DEFAULT_GLB,
    lods: LodsOption = False,
    webp: WebpOption = False,
    clips: ClipsOption = False,
    even_light: EvenLightOption = True,
    page: PageOption = True,
    workers: Annotated[int, typer.Option(min=1, help="Number of model processes, if a server has to be started.")] = 1,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use this Ray cluster, or 'local' to start one here; needs uvatar[ray]."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads for each Ray task.")] = 1,
    device: DeviceOption = None,
    data: DataOption = None,
    server: ServerOption = None,
    pipeline: PipelineOption = DEFAULT_PIPELINE,
) -> None:
    """Make avatars from thousands of photos. After an interruption, run the same command again to continue.

    Writes report.html with a thumbnail of every avatar and the reason for every failure.
    The next run retries failed photos, except those that show nobody.
    Exit code 0: all photos worked. 1: some did not. 130: interrupted.
    """
    from uvatar.files.export import Exporter
    from uvatar.protocol.errors import UvatarError
    from uvatar.service.batch.on_ray import runner_on_ray
    from uvatar.service.batch.on_server import runner_on_server
    from uvatar.service.batch.report import REPORT
    from uvatar.service.batch.run import run_batch

    console = console_of()
    blender, presets = blender_of(console) if blend else None, presets_of(glb, webp, clips, even_light)
    exporter = Exporter(out, blender, presets, page, lods)
    try:
        if ray:
            runner = runner_on_ray(ray, options, pipeline, threads, out, device)
        else:
            attach = partial(attached, console, data, server, pipeline, device, "--workers", str(workers))
            runner = runner_on_server(attach, options, AHEAD * workers)
        with remembered_interrupts() as end_if_interrupted:
            totals = run_batch(source, runner, exporter, partial(_tell, console, end_if_interrupted))
    except KeyboardInterrupt:
        console.print(f"Interrupted. Run the same command to continue. Report so far: {out / REPORT}", soft_wrap=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (UvatarError, OSError) as error:
        raise fatal(console, error) from error
    console.print(f"{_summary(totals)} {out / REPORT}", soft_wrap=True)
    if totals.failed:
        raise typer.Exit(EXIT_FAILED)


def _tell(
    console: Console, end_if_interrupted: Callable[[], None], number: int, photos: int, outcome: PhotoOutcome
) -> None:
    """Print the outcome of one photo."""
    from uvatar.protocol import photo_lists

    people = "1 person" if len(outcome.folders) == 1 else f"{len(outcome.folders)} people"
    words = people if outcome.done else f"failed: {outcome.told_reason}"
    console.print(f"{number}/{photos} {photo_lists.shown(outcome.key)}: {words}", soft_wrap=True)
    end_if_interrupted()


def _summary(totals: BatchTotals) -> str:
    done = f"{totals.photos} photos: {totals.done} done, {totals.failed} failed"
    return f"{done}, {totals.skipped} of them finished earlier."
