"""The command line of training: ``uvatar-train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training.data.problems import DataError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _about() -> None:
    """Make data for Uvatar's networks and train them."""


@app.command()
def synthesize(
    out: Annotated[Path, typer.Option(help="Folder of the shards; the contact sheet goes beside them.")],
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same pictures on any machine.")] = 0,
    split: Annotated[str, typer.Option(help="train, or held_out: other bodies, pose clips, garments and backgrounds.")] = "train",
    poses: Annotated[Path | None, typer.Option(help="Pose bank (.npz, aa (N, 24, 3)); by default poses of the shipped prior.")] = None,
    wardrobe: Annotated[Path | None, typer.Option(help="Folder that tools/bake_wardrobe.py wrote; by default all clothes are procedural.")] = None,
    hdris: Annotated[Path | None, typer.Option(help="Folder of panoramas; by default Blender's own eight where bpy is installed.")] = None,
    side: Annotated[int, typer.Option(min=64, help="Longer side of the pictures.")] = 512,
    texture: Annotated[int, typer.Option(min=64, help="Side of the textures.")] = 512,
    textures: Annotated[bool, typer.Option(help="Store each person's texture.")] = True,
    cycles: Annotated[float, typer.Option(min=0, max=1, help="Share of the shards that Blender's Cycles renders (slow, realistic).")] = 0.0,
    per_shard: Annotated[int, typer.Option(min=1, help="Pictures per shard: the piece of work that is lost when stopped.")] = 100,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = max(1, (os.cpu_count() or 2) - 1),
) -> None:
    """Make synthetic photos of people and write them as shards; start it again to go on where it stopped."""
    import cv2

    from training.data.shards import open_shards
    from training.synthesis.sheets import contact_sheet
    from training.synthesis.synthesize import Order
    from training.synthesis.synthesize import synthesize as make

    order = Order(out, count, seed, split, poses, wardrobe, hdris, side, texture, textures, cycles, per_shard)
    with _progress() as bar:
        task = bar.add_task("pictures", total=count)
        make(order, workers, lambda done: bar.advance(task, done))
    shards = open_shards(out, split)
    step = max(1, len(shards) // 24)
    sheet = contact_sheet([shards.read(k) for k in range(0, len(shards), step)][:24])
    cv2.imwrite(str(out / f"{split}.jpg"), sheet[..., ::-1])
    Console().print(f"{len(shards)} pictures in {out}; look at {out / f'{split}.jpg'}")


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())


def main() -> None:
    """Run the command line; errors in data are one line, not a traceback."""
    try:
        app()
    except DataError as error:
        Console(stderr=True).print(f"[red]Error:[/red] {error}", markup=True, highlight=False)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
