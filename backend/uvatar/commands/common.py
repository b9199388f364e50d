"""What the commands share: server options, exit codes, connecting to a server, terminal messages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uvatar.gltf.presets import LEVELS, PRESETS, Preset, chosen_presets
from uvatar.protocol.devices import AUTO, DEVICE_VARIABLE, DEVICES

if TYPE_CHECKING:
    from rich.console import Console

    from uvatar.service.client import Client

EXIT_FAILED = 1
EXIT_ALREADY_SERVED = 3
EXIT_INTERRUPTED = 130

IDLE_SECONDS = 300  # how long a server started by a command keeps its models loaded for the next command
NO_GLB = "none"
DEFAULT_GLB = ["gltf"]
DEFAULT_PIPELINE = "uvatar.engine.pipeline:Pipeline"

BlendOption = Annotated[bool, typer.Option("--blend/--no-blend", help="Write avatar.blend (needs Blender).")]

PageOption = Annotated[
    bool,
    typer.Option("--page/--no-page", help="Write avatar.html, which shows avatar and photo in any browser (3 MB)."),
]

LodsOption = Annotated[
    bool,
    typer.Option(
        "--lods",
        help="Write each file for engines at lower levels of detail, too: "
        + ", ".join(f"{level.triangles:,}" for level in LEVELS)
        + " triangles.",
    ),
]

WebpOption = Annotated[
    bool,
    typer.Option("--webp", help="Textures as WebP in files for engines that read it (EXT_texture_webp); not in VRM."),
]

ClipsOption = Annotated[
    bool,
    typer.Option("--clips", help="Animations in files for engines: Walk, Idle and Talk, which repeat; not in VRM."),
]

EvenLightOption = Annotated[
    bool,
    typer.Option(
        "--even-light/--as-photographed",
        help="Colours in files for engines: without the photo's light and shade, which an engine adds itself, or as "
        "photographed.",
    ),
]


def _known_presets(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in (*PRESETS, NO_GLB)]
    if unknown:
        raise typer.BadParameter(f"There is no {unknown[0]!r}. Choose from {', '.join((*PRESETS, NO_GLB))}.")
    return names


GlbOption = Annotated[
    list[str],
    typer.Option(
        "--glb",
        metavar="|".join((*PRESETS, NO_GLB)),
        callback=_known_presets,
        help="Files for engines; give it several times for several. "
        + " ".join(f"{preset.name}: {preset.file}, {preset.about}." for preset in PRESETS.values()),
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder for the server's jobs, results and logs. [default: UVATAR_DATA, or your system's usual location]",
    ),
]
ServerOption = Annotated[
    Path | None,
    typer.Option(
        "--server",
        envvar="UVATAR_SERVER",
        help="Access file of a server on another computer (see `uvatar serve --network`).",
    ),
]


def _known_device(device: str | None) -> str | None:
    if device is not None and device not in DEVICES:
        raise typer.BadParameter(f"There is no device {device!r}. The devices are {', '.join(DEVICES)}.")
    return device


DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        envvar=DEVICE_VARIABLE,
        metavar="|".join(DEVICES),
        callback=_known_device,
        help="What the networks run on. auto: the best GPU interface that starts, else the CPU. [default: auto]",
        show_default=False,
    ),
]
PipelineOption = Annotated[
    str, typer.Option("--pipeline", hidden=True, help="module:attribute of another pipeline, for tests.")
]


def console_of(stderr: bool = False) -> Console:
    """The console for standard output, or standard error."""
    from uvatar.runtime.terminal import terminal

    return terminal(stderr)


def presets_of(names: Sequence[str], webp: bool, clips: bool, even_light: bool) -> list[Preset]:
    """The presets with these names; none for `NO_GLB`."""
    return chosen_presets([name for name in names if name != NO_GLB], webp, clips, even_light)


def blender_of(console: Console) -> list[str] | None:
    """The command that writes .blend files, or None after telling the user why and what to do."""
    from uvatar.files.export import blender_advice, blender_command

    command = blender_command()
    if command is None:
        missing, fix = blender_advice()
        console.print(f"{missing} avatar.blend will not be written. {fix}", soft_wrap=True)
    return command


def fatal(console: Console, error: Exception) -> typer.Exit:
    """Print an error that ends the command, and return the exception to raise."""
    console.print(in_words(error), style="red", soft_wrap=True)
    return typer.Exit(EXIT_FAILED)


def in_words(error: Exception) -> str:
    """What went wrong and what to do, in sentences; system errors without their error number."""
    from uvatar.protocol.photo_lists import shown

    if isinstance(error, OSError) and error.strerror and isinstance(error.filename, (str, bytes)):
        return shown(f"{os.fsdecode(error.filename)}: {error.strerror}.")
    return f"{getattr(error, 'message', error)} {getattr(error, 'fix', '')}".strip()


def found(data: Path | None, server: Path | None) -> Client | None:
    """A client of the running server, on this computer or at ``server``; None if none runs on this computer.

    Raises:
        UvatarError, OSError: the server in ``server`` cannot be reached (see `client.reach`).
    """
    from uvatar.service import client, network

    return client.reach(network.read_access(server)) if server else client.find(data)


def attached(
    console: Console, data: Path | None, server: Path | None, pipeline: str, device: str | None, *arguments: str
) -> Client:
    """A client of the running server, or of one that is started with ``device`` and ``arguments`` for ``uvatar serve``.

    A message says so if the running server was started with another device.
    """
    from uvatar.service import client

    running = found(data, server)
    if running:
        if device is not None and (other := running.status().get("device", AUTO)) != device:
            stop = "its device is its owner's choice" if server else "run `uvatar stop` first to use another"
            console.print(f"The server that runs was started with the device {other}, not {device}: {stop}.")
        return running
    console.print("Starting the server. The first photo is processed once the models are loaded.")
    chosen = ["--exit-when-idle", str(IDLE_SECONDS), *(["--device", device] if device else []), *arguments]
    if pipeline != DEFAULT_PIPELINE:
        chosen += ["--pipeline", pipeline]
    return client.attach(data, chosen)
