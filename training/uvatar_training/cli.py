"""The command line of training: ``uvatar-train``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from uvatar.runtime.terminal import print_anything, terminal

if TYPE_CHECKING:
    from uvatar_training.data.stream import Samples
    from uvatar_training.trainers.recipe import Recipe
    from uvatar_training.trainers.run import Trainer

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def _about() -> None:
    """Make data for Uvatar's networks and train them."""


@app.command()
def synthesize(
    out: Annotated[Path, typer.Option(help="Folder of the shards; the contact sheet goes beside them.")],
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same pictures on any machine.")] = 0,
    split: Annotated[
        str, typer.Option(help="train, or held_out: other bodies, pose clips, garments and backgrounds.")
    ] = "train",
    poses: Annotated[
        Path | None, typer.Option(help="Pose bank (.npz, aa (N, 24, 3)); by default poses of the shipped prior.")
    ] = None,
    wardrobe: Annotated[
        Path | None, typer.Option(help="Folder of tools/bake_wardrobe.py; by default all clothes are procedural.")
    ] = None,
    hdris: Annotated[
        Path | None, typer.Option(help="Folder of panoramas; by default Blender's own eight where bpy is installed.")
    ] = None,
    side: Annotated[int, typer.Option(min=64, help="Longer side of the pictures.")] = 512,
    texture: Annotated[int, typer.Option(min=64, help="Side of the textures.")] = 512,
    textures: Annotated[bool, typer.Option(help="Store each person's texture.")] = True,
    cycles: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the shards that Blender's Cycles renders (slow, realistic).")
    ] = 0.0,
    per_shard: Annotated[
        int, typer.Option(min=1, help="Pictures per shard: the piece of work that is lost when stopped.")
    ] = 100,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = max(1, (os.cpu_count() or 2) - 1),
) -> None:
    """Make synthetic photos of people and write them as shards; start it again to go on where it stopped."""
    import cv2

    from uvatar_training.data.shards import open_shards
    from uvatar_training.synthesis.sheets import contact_sheet
    from uvatar_training.synthesis.synthesize import Order
    from uvatar_training.synthesis.synthesize import synthesize as make

    order = Order(out, count, seed, split, poses, wardrobe, hdris, side, texture, textures, cycles, per_shard)
    with _progress() as bar:
        task = bar.add_task("pictures", total=count)
        make(order, workers, lambda done: bar.advance(task, done))
    shards = open_shards(out, split)
    step = max(1, len(shards) // 24)
    sheet = contact_sheet([shards.read(k) for k in range(0, len(shards), step)][:24])
    cv2.imwrite(str(out / f"{split}.jpg"), sheet[..., ::-1])
    terminal().print(f"{len(shards)} pictures in {out}; look at {out / f'{split}.jpg'}")


RecipeName = Annotated[str, typer.Option(help="paper, default, toy, or a .yaml file.")]
Data = Annotated[Path, typer.Option(help="Folder of shards (uvatar-train synthesize).")]
Out = Annotated[
    Path, typer.Option(help="Folder of the run: checkpoints, TensorBoard, pictures, and the weights at the end.")
]
Steps = Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")]
Rate = Annotated[float | None, typer.Option(help="Learning rate instead of the recipe's.")]
Precision = Annotated[str | None, typer.Option(help="32-true, bf16-mixed or 16-mixed instead of the recipe's.")]
Seed = Annotated[int | None, typer.Option(help="Instead of the recipe's.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto.")]
Workers = Annotated[int, typer.Option(min=0, help="Loading processes.")]
StopAt = Annotated[int | None, typer.Option(min=1, help="Stop at this step, to go on later with the same command.")]
Minutes = Annotated[
    float | None, typer.Option(help="Stop after so many minutes, to go on later with the same command.")
]


@app.command()
def mesh(
    data: Data,
    out: Out,
    recipe: RecipeName = "default",
    steps: Steps = None,
    batch: BatchSize = None,
    learning_rate: Rate = None,
    precision: Precision = None,
    seed: Seed = None,
    device: Device = "auto",
    workers: Workers = 0,
    stop_at: StopAt = None,
    minutes: Minutes = None,
) -> None:
    """Train the Mesh Predictor on pictures of people; goes on from the newest checkpoint in the folder."""
    from uvatar_training.data.shards import open_shards
    from uvatar_training.trainers.mesh import MeshTrainer

    changes = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "precision": precision, "seed": seed}
    samples = open_shards(data, "train", pictures_only=True)
    _train("mesh", MeshTrainer, samples, out, recipe, changes, device, workers, stop_at, minutes)


@app.command()
def gan(
    out: Out,
    data: Annotated[Path | None, typer.Option(help="Folder of shards whose people have textures.")] = None,
    textures: Annotated[
        Path | None, typer.Option(help="Instead: textures in the open body's UV, or SURREAL's smpl_data.")
    ] = None,
    smpl: Annotated[Path | None, typer.Option(help="With SURREAL: an SMPL file.")] = None,
    smpl_uv: Annotated[Path | None, typer.Option(help="With SURREAL: SMPL's OBJ with texture coordinates.")] = None,
    recipe: RecipeName = "default",
    steps: Steps = None,
    batch: BatchSize = None,
    learning_rate: Rate = None,
    precision: Precision = None,
    seed: Seed = None,
    device: Device = "auto",
    workers: Workers = 0,
    stop_at: StopAt = None,
    minutes: Minutes = None,
) -> None:
    """Pre-train the Texture Predictor's generator on textures alone."""
    from uvatar.body import load_open_body, load_smpl
    from uvatar_training.data.textures import TextureSamples, surreal_textures, texture_folder
    from uvatar_training.trainers.gan import GanTrainer

    if (data is None) == (textures is None):
        raise typer.BadParameter("give either --data or --textures")
    body = load_open_body() if smpl is None else load_smpl(smpl, smpl_uv)
    samples: Samples[Any] | None = None
    if textures is not None:
        read = texture_folder if smpl is None else surreal_textures
        samples = TextureSamples(read(textures, body.data, 512), "train", body.data.name)
    changes = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "precision": precision, "seed": seed}
    _train(
        "gan",
        lambda recipe: GanTrainer(recipe, body),
        samples or data,
        out,
        recipe,
        changes,
        device,
        workers,
        stop_at,
        minutes,
    )


@app.command()
def complete(
    data: Data,
    out: Out,
    recipe: RecipeName = "default",
    steps: Steps = None,
    batch: BatchSize = None,
    learning_rate: Rate = None,
    precision: Precision = None,
    seed: Seed = None,
    device: Device = "auto",
    workers: Workers = 0,
    stop_at: StopAt = None,
    minutes: Minutes = None,
    start: Annotated[Path | None, typer.Option(help="Checkpoint to start from, of gan for example.")] = None,
) -> None:
    """Train the Texture Predictor in the UV plane alone, on people whose textures are known: fast enough for two CPU
    cores.
    """
    from uvatar_training.data.uv_people import open_uv_people
    from uvatar_training.trainers.complete import CompleteTrainer

    changes = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "precision": precision, "seed": seed}
    chosen = _recipe("complete", recipe, changes, {"start": str(start)} if start else {})
    trainer = CompleteTrainer(chosen)
    with _progress() as bar:
        task = bar.add_task("people of the shards", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        people, skipped = open_uv_people(
            data, "train", trainer.config.photo_side, workers=max(1, workers), progress=show
        )
    if report := skipped.report():
        terminal().print(report, style="yellow")
    _run(trainer, chosen, people, out, device, workers, stop_at, minutes)


@app.command()
def texture(
    data: Data,
    out: Out,
    recipe: RecipeName = "default",
    steps: Steps = None,
    batch: BatchSize = None,
    learning_rate: Rate = None,
    precision: Precision = None,
    seed: Seed = None,
    device: Device = "auto",
    workers: Workers = 0,
    stop_at: StopAt = None,
    minutes: Minutes = None,
    start: Annotated[Path | None, typer.Option(help="Checkpoint to start from, of gan for example.")] = None,
) -> None:
    """Train the Texture Predictor on pictures of people whose bodies are known."""
    from uvatar_training.trainers.texture import TextureTrainer

    changes = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "precision": precision, "seed": seed}
    options = {"start": str(start)} if start else {}
    _train("texture", TextureTrainer, data, out, recipe, changes, device, workers, stop_at, minutes, options)


@app.command()
def joint(
    data: Data,
    out: Out,
    recipe: RecipeName = "default",
    steps: Steps = None,
    batch: BatchSize = None,
    learning_rate: Rate = None,
    precision: Precision = None,
    seed: Seed = None,
    device: Device = "auto",
    workers: Workers = 0,
    stop_at: StopAt = None,
    minutes: Minutes = None,
    mesh_start: Annotated[Path | None, typer.Option(help="The Mesh Predictor to start from.")] = None,
    texture_start: Annotated[Path | None, typer.Option(help="The Texture Predictor to start from.")] = None,
) -> None:
    """Train both predictors end to end."""
    from uvatar_training.trainers.joint import JointTrainer

    changes = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "precision": precision, "seed": seed}
    options = {name: str(path) for name, path in (("mesh", mesh_start), ("texture", texture_start)) if path}
    _train("joint", JointTrainer, data, out, recipe, changes, device, workers, stop_at, minutes, options)


@app.command()
def evaluate(
    weights: Annotated[
        Path, typer.Option(help="mesh_predictor.safetensors, ROMP's checkpoint, or texture_predictor.safetensors.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for table.csv and sheet.jpg.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of shards; without, a Texture Predictor is scored on painted people.")
    ] = None,
    split: Annotated[str, typer.Option(help="held_out, or train to see what was learnt by heart.")] = "held_out",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many pictures or people.")] = None,
) -> None:
    """Score a Mesh Predictor on held-out pictures, or a Texture Predictor beside what costs nothing."""
    if weights.name.startswith("texture"):
        from uvatar_training.metrics.evaluation import evaluate_textures

        evaluate_textures(limit or (8 if data is None else 100), weights, out, data)
        return
    from uvatar_training.data.shards import encoded, open_shards
    from uvatar_training.synthesis.sheets import tiled
    from uvatar_training.trainers.evaluate import evaluate_mesh

    if data is None:
        raise typer.BadParameter("a Mesh Predictor is scored on --data")
    scores, pictures = evaluate_mesh(weights, open_shards(data, split), limit=limit, split=split)
    scores.write(out / "table.csv")
    (out / "sheet.jpg").write_bytes(encoded(tiled(pictures), ".jpg", 90))
    terminal().print(scores.table())
    if report := scores.skipped.report():
        terminal().print(report, style="yellow")


@app.command()
def import_agora(
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    fits: Annotated[Path, typer.Option(help="Folder that gt_path_smpl is relative to.")],
    frames: Annotated[Path, typer.Option(help="Folder of the dataframes (*_withjv.pkl, or *.pkl with --smpl).")],
    out: Annotated[Path, typer.Option(help="Folder of the shards.")],
    masks: Annotated[Path | None, typer.Option(help="Folder of the person masks.")] = None,
    smpl: Annotated[Path | None, typer.Option(help="Neutral SMPL file, for where people stand.")] = None,
    kid_template: Annotated[Path | None, typer.Option(help="smpl_kid_template.npy")] = None,
    cut_out: Annotated[bool, typer.Option(help="One person per sample, alone on white.")] = False,
    split: Annotated[str, typer.Option(help="train or held_out, by scan.")] = "train",
    occlusion: Annotated[
        float, typer.Option(help="People who are hidden by more than this percentage are left out.")
    ] = 70.0,
) -> None:
    """Bring AGORA (for non-commercial research only) into shards."""
    import numpy as np

    from uvatar.body import load_smpl
    from uvatar_training.data.agora import Agora
    from uvatar_training.data.importing import write_shards

    template = None if kid_template is None else np.load(kid_template, allow_pickle=False).astype(np.float32)
    body = None if smpl is None else load_smpl(smpl)
    agora = Agora(images, fits, frames, masks, body, template, cut_out, split, occlusion)
    with _progress() as bar:
        task = bar.add_task("samples", total=None)
        count = write_shards(agora.samples(), out, split, "agora", progress=lambda done: bar.advance(task, done))
    terminal().print(f"{count} samples in {out}")
    if report := agora.skipped.report():
        terminal().print(report, style="yellow")


def _train(
    task: str,
    trainer: Callable[[Recipe], Trainer],
    data: Samples[Any] | Path | None,
    out: Path,
    name: str,
    changes: Mapping[str, Any],
    device: str,
    workers: int,
    stop_at: int | None,
    minutes: float | None,
    options: Mapping[str, str] | None = None,
) -> None:
    from uvatar_training.data.shards import open_shards

    recipe = _recipe(task, name, changes, options or {})
    samples = open_shards(data, "train") if isinstance(data, Path) else data
    assert samples is not None
    _run(trainer(recipe), recipe, samples, out, device, workers, stop_at, minutes)


def _recipe(task: str, name: str, changes: Mapping[str, Any], options: Mapping[str, str]) -> Recipe:
    """A recipe as the command line changes it."""
    from uvatar_training.trainers.recipe import load_recipe

    shipped = load_recipe(task, name)
    return shipped.with_(**changes, options={**shipped.options, **options})


def _run(
    trainer: Trainer,
    recipe: Recipe,
    samples: Samples[Any],
    out: Path,
    device: str,
    workers: int,
    stop_at: int | None,
    minutes: float | None,
) -> None:
    from uvatar_training.trainers.run import run

    seconds = None if minutes is None else 60 * minutes
    result = run(trainer, recipe, samples, out, device, workers=workers, stop_at=stop_at, seconds=seconds)
    if result.files:
        terminal().print(f"Trained to step {result.step}: {', '.join(map(str, result.files))}")
    elif int(os.environ.get("RANK", "0")) == 0:
        terminal().print(f"Stopped at step {result.step} of {recipe.steps}; the same command goes on from there.")


@app.command("lifter-data")
def lifter_data(
    out: Annotated[Path, typer.Option(help="Folder of the shards.")],
    poses: Annotated[Path, typer.Option(help="Pose bank (.npz, aa (N, 24, 3)).")],
    count: Annotated[int, typer.Option(min=1, help="How many people.")] = 12_000,
    seed: Annotated[int, typer.Option(help="Runs with other seeds may fill the same folder at the same time.")] = 1,
    textures: Annotated[
        Path | None, typer.Option(help="Folder of clothed UV textures; by default all clothes are procedural.")
    ] = None,
    validation: Annotated[bool, typer.Option(help="Take the bank's held-out poses.")] = False,
) -> None:
    """Render people and write down what perception says of them; start it again to go on where it stopped."""
    from uvatar_training.lifter.make import make_lifter_data

    with _progress() as bar:
        task = bar.add_task("people", total=count)
        lost = make_lifter_data(
            out, poses, count, seed, textures, validation, lambda done: bar.update(task, completed=done)
        )
    terminal().print(f"{count} people in {out}; {lost} more were not found or hardly seen")


@app.command()
def lifter(
    data: Annotated[Path, typer.Option(help="Folder of lifter-data's shards.")],
    validation: Annotated[Path, typer.Option(help="The same of held-out poses (lifter-data --validation).")],
    poses: Annotated[Path, typer.Option(help="Pose bank (.npz, aa (N, 24, 3)).")],
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the optimiser; by default the recipe's.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed and data give the same weights.")] = 0,
) -> None:
    """Train the pose lifter; start it again to go on where it stopped."""
    from dataclasses import replace

    from uvatar_training.lifter.train import LifterRecipe, train_lifter

    recipe = replace(LifterRecipe(seed=seed), **({"steps": steps} if steps else {}))
    with _progress() as bar:
        task = bar.add_task("steps", total=recipe.steps)
        errors = train_lifter(
            data, validation, poses, out, recipe, lambda step, loss: bar.update(task, completed=step + 1)
        )
    terminal().print(errors)


def _progress() -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(TextColumn("{task.description}"), *columns, console=terminal())


def main() -> None:
    """Run the command line; what is wrong with data, recipes and runs is one line, not a traceback."""
    print_anything()
    try:
        app()
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed: pip install uvatar-training"
        terminal(stderr=True).print(f"Error: {message}", style="red", soft_wrap=True)
        raise SystemExit(1) from None
    except (ValueError, RuntimeError) as error:
        if type(error).__module__.split(".")[0] not in ("uvatar_training", "uvatar"):
            raise
        terminal(stderr=True).print(f"Error: {error}", style="red", soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
