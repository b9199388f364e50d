"""The commands that measure the quality of avatars: `uvatar evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from uvatar.commands.common import console_of, fatal

FolderArgument = Annotated[Path, typer.Argument(help="Folder of photos.", exists=True, file_okay=False)]
PredictorOption = Annotated[
    Path | None, typer.Option(help="Mesh Predictor to evaluate. [default: the installed one]", exists=True)
]


def photos(
    folder: FolderArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table, overlays and turntables.")] = Path(
        "evaluation"
    ),
) -> None:
    """Reconstruct a folder of photos and measure how well each avatar matches its photo."""
    _prepare(out)
    from uvatar.evaluation.photos import evaluate_photos

    evaluate_photos(folder, out)


def synthetic(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and the pictures.")] = Path(
        "evaluation-synthetic"
    ),
    count: Annotated[int, typer.Option(min=1, help="Number of people to render.")] = 30,
    seed: Annotated[int, typer.Option(help="Random seed: the same number gives the same people.")] = 0,
    poses: Annotated[
        Path | None,
        typer.Option(
            help="An .npz of poses, or a bank whose held-out blocks are used. [default: the shipped poses]", exists=True
        ),
    ] = None,
    textures: Annotated[
        Path | None,
        typer.Option(help="Folder of textures for the open body. [default: generated outfits]", exists=True),
    ] = None,
    split: Annotated[
        Literal["all", "tuning", "final"],
        typer.Option(
            help="Which people: all, or, sharing no pose, those that numbers may be tuned on and those that are only "
            "reported."
        ),
    ] = "all",
    refine: Annotated[
        bool, typer.Option("--refine/--no-refine", help="Fit the bodies to the pictures, or only predict them.")
    ] = True,
) -> None:
    """Render bodies whose pose and shape are known, reconstruct them, and measure the difference in 3D."""
    _prepare(out)
    from uvatar.evaluation.synthetic import evaluate_synthetic

    evaluate_synthetic(out, poses=poses, textures=textures, count=count, seed=seed, split=split, refine=refine)


def turning(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and the pictures.")] = Path(
        "evaluation-turning"
    ),
    count: Annotated[int, typer.Option(min=1, help="Number of people to render.")] = 6,
    seed: Annotated[int, typer.Option(help="Random seed: the same number gives the same people.")] = 0,
    split: Annotated[
        Literal["tuning", "final"],
        typer.Option(help="Whose poses: those that numbers may be tuned on, or those that are only reported."),
    ] = "tuning",
) -> None:
    """Render people who stand from eight sides, and measure how far the avatars of one person differ."""
    _prepare(out)
    from uvatar.evaluation.turning import evaluate_turning

    evaluate_turning(out, count=count, seed=seed, split=split)


def starts(
    folder: FolderArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table.")] = Path("evaluation-starts"),
    weights: PredictorOption = None,
) -> None:
    """Compare the results of fitting with and without learned starts (pose lifter and Mesh Predictor)."""
    _prepare(out)
    from uvatar.evaluation.starts import evaluate_starts
    from uvatar.mesh_predictor.predictor import Predictor
    from uvatar.runtime.networks import CheckpointError

    try:
        evaluate_starts(folder, out, Predictor.load(weights) if weights else None)
    except CheckpointError as error:
        raise fatal(console_of(), error) from error


def predictions(
    folder: FolderArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table.")] = Path("evaluation-predictions"),
    weights: PredictorOption = None,
) -> None:
    """Compare bodies that are not refined (--no-refine) with COCO's annotations in a folder of photos."""
    _prepare(out)
    from uvatar.evaluation.predictions import evaluate_predictions
    from uvatar.protocol.errors import UvatarError
    from uvatar.runtime.networks import CheckpointError

    try:
        evaluate_predictions(folder, out, weights)
    except (UvatarError, CheckpointError) as error:
        raise fatal(console_of(), error) from error


def hands(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and the pictures.")] = Path(
        "evaluation-hands"
    ),
    count: Annotated[int, typer.Option(min=1, help="Number of people to render.")] = 30,
    seed: Annotated[int, typer.Option(help="Random seed: the same number gives the same people.")] = 0,
) -> None:
    """Render people whose fingers' pose is known, find their hands, and measure the difference."""
    _prepare(out)
    from uvatar.evaluation.hands import evaluate_hands

    evaluate_hands(out, count, seed)


def around(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and the sheets.")] = Path(
        "evaluation-around"
    ),
    count: Annotated[int, typer.Option(min=1, help="Number of people to render.")] = 16,
    seed: Annotated[int, typer.Option(help="Random seed: the same number gives the same people.")] = 0,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Side of the textures in pixels.")] = 512,
    textures: Annotated[
        Path | None,
        typer.Option(help="Folder of textures for the open body. [default: generated outfits]", exists=True),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photos, whose people are measured from the sides that no photo shows, instead of rendered "
            "people.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Compare textures with the truth from all sides: rendered people, each textured from one picture in several ways.

    With --photos, real people are measured from the sides that their photo does not show; there is no truth then, and
    the other options but --out do not matter. docs/texture-predictor.md explains the ways and the figures.
    """
    _prepare(out)
    if photos is not None:
        from uvatar.evaluation.around_photos import evaluate_photos_around

        evaluate_photos_around(photos, out)
        return
    from uvatar.evaluation.around import evaluate_around

    evaluate_around(out, textures=textures, count=count, seed=seed, size=size)


def clothes(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables and the sheets.")] = Path(
        "evaluation-clothes"
    ),
    rounds: Annotated[int, typer.Option(min=1, help="How often each outfit is worn, every time by someone else.")] = 1,
    seed: Annotated[int, typer.Option(help="Random seed: the same number gives the same people.")] = 0,
    split: Annotated[
        Literal["tuning", "final"],
        typer.Option(help="Which outfits: those that numbers may be tuned on, or those that are only reported."),
    ] = "final",
) -> None:
    """Compare the form of clothes with the truth from all sides: rendered people in suits, skirts and coats."""
    _prepare(out)
    from uvatar.evaluation.clothes import evaluate_clothes

    evaluate_clothes(out, rounds=rounds, seed=seed, split=split)


def light(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and the textures.")] = Path(
        "evaluation-light"
    ),
    count: Annotated[int, typer.Option(min=1, help="Number of people to render, half of them in hard light.")] = 16,
    seed: Annotated[int, typer.Option(help="Random seed: the same number gives the same people.")] = 0,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Side of the textures in pixels.")] = 512,
) -> None:
    """Measure how much of the photo's light stays in textures: rendered people with known colours."""
    _prepare(out)
    from uvatar.evaluation.light import evaluate_light

    evaluate_light(out, count=count, seed=seed, size=size)


def faces(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and the pictures.")] = Path(
        "evaluation-faces"
    ),
    count: Annotated[int, typer.Option(min=1, help="Number of people to render in each of the two groups.")] = 8,
    seed: Annotated[int, typer.Option(help="Random seed: the same number gives the same people.")] = 0,
    textures: Annotated[
        Path | None,
        typer.Option(help="Folder of textures for the open body. [default: generated people]", exists=True),
    ] = None,
) -> None:
    """Render heads whose form is known, reconstruct them, and compare them from other sides than the photo's."""
    _prepare(out)
    from uvatar.evaluation.faces import evaluate_faces

    evaluate_faces(out, count=count, seed=seed, textures=textures)


def likeness(
    folder: FolderArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and the pictures.")] = Path(
        "evaluation-likeness"
    ),
) -> None:
    """Measure how alike a face embedding finds avatars and their photos. Needs the extra uvatar[likeness]."""
    _prepare(out)
    from uvatar.evaluation.likeness import evaluate_likeness
    from uvatar.protocol.errors import UvatarError

    try:
        evaluate_likeness(folder, out)
    except UvatarError as error:
        raise fatal(console_of(), error) from error


COMMANDS = (photos, synthetic, turning, faces, likeness, starts, predictions, hands, around, clothes, light)


def _prepare(out: Path) -> None:
    """Check that the output folder can be written to before hours of work; end the command if it cannot."""
    from uvatar.files.avatar_folders import prepare
    from uvatar.protocol.errors import UvatarError

    try:
        prepare(out)
    except UvatarError as error:
        raise fatal(console_of(), error) from error
