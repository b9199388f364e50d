"""The commands that run and manage the server: serve, status, stop, forget, logs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from uvatar.commands.common import (
    DEFAULT_PIPELINE,
    EXIT_ALREADY_SERVED,
    EXIT_FAILED,
    DataOption,
    DeviceOption,
    PipelineOption,
    ServerOption,
    console_of,
    fatal,
    found,
)
from uvatar.protocol.devices import AUTO

if TYPE_CHECKING:
    from rich.console import Console

    from uvatar.service.client import Client

T = TypeVar("T")

MOST_TOKEN = 1000  # bytes read from a token file


def _finite(value: float | None) -> float | None:
    """Refuse "nan" and "inf", which Python accepts as numbers."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("This is not a finite number.")
    return value


PortOption = Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 for any free port.")]
NetworkOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Also accept encrypted connections from other computers at this address."),
]
TokenFileOption = Annotated[
    Path | None, typer.Option(help="File with the token that clients must send; created if missing.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=64,
        help="Number of model processes; each keeps the models in memory. [default: 1, or one for each of --gpus]",
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="CPU threads for each model process. [default: an equal share of all]")
]
GpusOption = Annotated[
    str, typer.Option(help="GPUs assigned to the model processes in turn, such as 0,1. [default: any that are found]")
]
HungOption = Annotated[
    float,
    typer.Option(callback=_finite, min=1, help="Seconds after which a stage is considered hung; its photo is retried."),
]
LoadHungOption = Annotated[
    float, typer.Option(callback=_finite, min=1, help="Seconds after which loading the models is considered hung.")
]
ExitWithParentOption = Annotated[bool, typer.Option("--exit-with-parent", help="Exit when standard input closes.")]
ExitWhenIdleOption = Annotated[
    float | None, typer.Option(callback=_finite, min=0, help="Exit after this many seconds without work.")
]
KeepDaysOption = Annotated[float, typer.Option(callback=_finite, min=0, help="Days to keep results.")]
KeepSizeOption = Annotated[float, typer.Option(callback=_finite, min=0, help="Gigabytes of results to keep.")]
QueueOption = Annotated[int, typer.Option(min=1, help="Most photos that may wait; further jobs are refused.")]
MemoryOption = Annotated[
    float | None,
    typer.Option(
        callback=_finite,
        min=0.1,
        help="Gigabytes of the server's own memory at which it drops all connections. [default: 2 to 8]",
    ),
]


def serve(
    port: PortOption = 0,
    network: NetworkOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = None,
    gpus: GpusOption = "",
    hung_after: HungOption = 300,
    load_hung_after: LoadHungOption = 300,
    exit_with_parent: ExitWithParentOption = False,
    exit_when_idle: ExitWhenIdleOption = None,
    keep_days: KeepDaysOption = 30,
    keep_gb: KeepSizeOption = 10,
    queue_photos: QueueOption = 5000,
    memory_gb: MemoryOption = None,
    pipeline: PipelineOption = DEFAULT_PIPELINE,
) -> None:
    """Run the server in this terminal until Ctrl+C or `uvatar stop`.

    Only this computer can reach it, and only with the token in its data folder, which only you can read.
    With --network, other computers can reach it too: encrypted, and only with the access file that it writes there.
    Jobs that are not finished when it stops continue when it is started again.
    """
    from uvatar.protocol import discovery
    from uvatar.protocol.errors import UvatarError
    from uvatar.protocol.private_files import usable_data_folder
    from uvatar.service.ingest import QueueLimits
    from uvatar.service.journal_database import AlreadyServed
    from uvatar.service.model_process import PoolSettings
    from uvatar.service.network import split_address
    from uvatar.service.retention import Policy
    from uvatar.service.server import Settings, new_token
    from uvatar.service.serving import serve as serve_until_stopped

    console = console_of(stderr=True)
    try:
        settings = Settings(
            folder=data or discovery.data_folder(),
            port=port,
            network=split_address(network) if network else None,
            pool=PoolSettings(
                workers, pipeline, threads, tuple(filter(None, gpus.split(","))), hung_after, load_hung_after, device
            ),
            policy=Policy(keep_days, round(keep_gb * 1e9)),
            queue=QueueLimits(photos=queue_photos),
            idle_exit=exit_when_idle,
            memory_limit=round(memory_gb * 1e9) if memory_gb else None,
            token=_token(token_file) if token_file else new_token(),
        )
        usable_data_folder(settings.folder)
        if sys.stdout is not None and sys.stdout.isatty():
            console.print("Serving Blender and the `uvatar` commands on this computer. Press Ctrl+C to stop.")
        serve_until_stopped(settings, exit_with_parent)
    except AlreadyServed as error:
        console.print(f"{error} Use it, or stop it with `uvatar stop`.")
        raise typer.Exit(EXIT_ALREADY_SERVED) from error
    except (UvatarError, OSError) as error:
        raise fatal(console, error) from error


def status(data: DataOption = None, server: ServerOption = None) -> None:
    """Show whether a server is running and what it is doing: queue, device in use, memory, versions, jobs."""
    console = console_of()
    facts = _answer(console, data, server, lambda running: running.status())
    if facts is None:
        console.print("No server is running. `uvatar reconstruct` and the Blender add-on start one.")
    else:
        _show(console, facts)


def stop(data: DataOption = None, server: ServerOption = None) -> None:
    """Stop the server. Unfinished jobs continue when a server is started again."""
    console = console_of()
    unfinished = _answer(console, data, server, lambda running: running.shutdown())
    if unfinished is None:
        console.print("No server is running.")
    else:
        console.print(
            f"Stopped. {unfinished} photos will continue when the server starts." if unfinished else "Stopped."
        )


def forget(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(help="The person's photos as you sent them, or folders of them.", show_default=False),
    ] = None,
    job: Annotated[list[str] | None, typer.Option(help="Also delete this job.")] = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            "--in", help="Also delete the avatars made from these photos in this folder.", exists=True, file_okay=False
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Delete all jobs of all users.")] = False,
    data: DataOption = None,
    server: ServerOption = None,
) -> None:
    """Permanently delete everything about a person: all jobs with these photos, and their results.

    Photos are recognised by their content, whatever the file is called. Works with and without a running server.
    In the avatars' folders only what Uvatar wrote is deleted; your own files stay.
    """
    from uvatar.commands.forgetting import Forgotten, forget_avatars, forget_jobs, photo_digests
    from uvatar.protocol import discovery, photo_lists
    from uvatar.protocol.errors import UvatarError

    console = console_of()
    if not (photos or job or everything):
        raise typer.BadParameter("Give the person's photos, --job or --everything.")
    gone = Forgotten()
    try:
        digests, failures = photo_digests(photos or ())
        jobs = forget_jobs(lambda: found(data, server), data or discovery.data_folder(), digests, job or (), everything)
        for place in folder or ():
            gone += forget_avatars(place, digests)
    except (UvatarError, OSError) as error:
        raise fatal(console, error) from error
    words = [f"Deleted {len(jobs)} jobs."]
    if folder:
        words.append(f"Deleted {len(gone.deleted)} avatars.")
    console.print(" ".join(words))
    for path in gone.kept:
        console.print(
            f"{photo_lists.shown(str(path))} was kept: it contains files that are not Uvatar's.", soft_wrap=True
        )
    for name, reason in failures + [(photo_lists.shown(str(path)), reason) for path, reason in gone.failed]:
        console.print(f"{name}: {reason}", style="red", soft_wrap=True)
    if failures or gone.failed:
        raise typer.Exit(EXIT_FAILED)


def logs(
    job: Annotated[str | None, typer.Option(help="Show only lines about this job.")] = None,
    data: DataOption = None,
) -> None:
    """Print the server's and the model processes' log: a line of JSON for each event."""
    import json

    from uvatar.protocol import discovery
    from uvatar.service.logs import read_logs

    for line in read_logs(data or discovery.data_folder(), job):
        typer.echo(json.dumps(line, ensure_ascii=False))


def _answer(console: Console, data: Path | None, server: Path | None, ask: Callable[[Client], T]) -> T | None:
    """Ask the running server; None if none runs. An error is printed and ends the command."""
    from uvatar.protocol.errors import UvatarError

    try:
        running = found(data, server)
        if running is None:
            return None
        with running:
            return ask(running)
    except (UvatarError, OSError) as error:
        raise fatal(console, error) from error


def _show(console: Console, facts: dict[str, Any]) -> None:
    from rich.table import Table

    def line(text: str) -> None:
        console.print(text.rstrip(), soft_wrap=True)

    models, queue = facts["model"], facts["queue"]
    line(f"Uvatar {facts['version']}, process {facts['pid']}, data in {facts['folder']}")
    line(f"Models: {models['state']} {models.get('error', {}).get('message', '')}")
    line(
        f"Queue: {queue['photos']} photos of {queue['jobs']} jobs waiting ({_size(queue['bytes'])}); at most "
        f"{queue['most_photos']}"
    )
    asked = facts.get("device", AUTO)
    chosen = "" if asked == AUTO else f" (started with --device {asked})"
    line(f"Device: {models.get('device', 'not known yet')}{chosen}")
    for note in models.get("device_notes", ()):
        line(f"  {note}")
    for worker in facts["workers"]:
        idle = "idle" if worker["ready"] else "loading the models"
        on = f", on {worker['device']}" if worker.get("device") and len(facts["workers"]) > 1 else ""
        doing = f"{worker['seconds']:.0f} s on job {worker['job']}" if worker["job"] else idle
        line(f"Model process {worker['pid']}: {doing}, {_size(worker['memory'] or 0)} of memory{on}")
    line(f"Memory of the server: {_size(facts['memory'])}. Disk: {facts['disk_free'] / 1e9:.0f} GB free")
    line(
        "Versions: "
        + ", ".join(f"{name} {version}" for name, version in (models.get("versions") or facts["versions"]).items())
    )
    table = Table("Job", "State", "Photos", "Waiting", "Failed")
    for job in facts["jobs"]:
        table.add_row(job["job"], job["state"], *(str(job[count]) for count in ("photos", "waiting", "failed")))
    console.print(table if facts["jobs"] else "No jobs yet.")


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _token(path: Path) -> str:
    """The token in a file. A missing file is created, readable by its owner only.

    Raises:
        UvatarError: other users can write to the file ("bad-access").
        OSError: the file cannot be read or created.
    """
    from uvatar.protocol import atomic_files
    from uvatar.protocol.private_files import private_file
    from uvatar.service.server import new_token

    if not path.exists():
        atomic_files.write_atomically(path, [new_token().encode()])
    if not path.is_file():
        raise typer.BadParameter(f"The token file {path} is not a file.")
    private_file(path, "token")
    with path.open("rb") as file:
        token = file.read(MOST_TOKEN).decode("ascii", "replace").strip()
    if len(token) < 16 or not token.isascii() or not token.isprintable():
        raise typer.BadParameter(f"The token in {path} must consist of at least 16 printable ASCII characters.")
    return token
