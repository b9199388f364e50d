"""Runs: the same to the last bit with and without a stop, whatever dies in between; errors that say which file."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from uvatar.body import load_open_body
from uvatar.mesh_predictor.predictor import Predictor
from uvatar.texture_predictor.config import ConfigError, small
from uvatar.texture_predictor.networks.checkpoint import load_checkpoint, save_checkpoint
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar_training.cli import main
from uvatar_training.commands.parse import COMMANDS
from uvatar_training.data.shards import ShardSet, open_shards
from uvatar_training.data.stream import Plan, stream
from uvatar_training.data.uv_people import UvPeople, open_uv_people
from uvatar_training.trainers.checkpoints import LAST, PREVIOUS, CheckpointProblem, load, save
from uvatar_training.trainers.complete import CompleteTrainer
from uvatar_training.trainers.gan import GanTrainer, texture_network
from uvatar_training.trainers.joint import JointTrainer
from uvatar_training.trainers.mesh import MeshTrainer
from uvatar_training.trainers.recipe import RecipeError, TrainingRecipe, load_recipe, recipe_names
from uvatar_training.trainers.run import Result, Trainer, TrainingError, run
from uvatar_training.trainers.texture import TextureTrainer

TRAINERS: dict[str, Callable[[TrainingRecipe], Trainer]] = {
    "mesh": MeshTrainer,
    "gan": GanTrainer,
    "complete": CompleteTrainer,
    "texture": TextureTrainer,
    "joint": JointTrainer,
}


@pytest.fixture(scope="module")
def samples(shards: Path) -> ShardSet:
    return open_shards(shards, "train")


def train(task: str, samples: ShardSet, out: Path, **options: Any) -> Result:
    recipe = load_recipe(task, "toy")
    trainer = TRAINERS[task](recipe)
    return run(trainer, recipe, data_for(trainer, samples), out, "cpu", **options)


def data_for(trainer: Trainer, samples: ShardSet) -> ShardSet | UvPeople:
    if isinstance(trainer, CompleteTrainer):
        return open_uv_people(samples.paths[0].parent, "train", trainer.config.photo_side)[0]
    return samples


class Watching(pickle.Pickler):
    """Finds what belongs to networks in what it pickles."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.weights: list[torch.Size] = []

    def persistent_id(self, obj: object) -> None:
        if isinstance(obj, torch.nn.Parameter):
            self.weights.append(obj.shape)


@pytest.mark.parametrize("task", list(TRAINERS))
def test_loading_processes_are_handed_what_preparing_needs_and_no_network(task: str, samples: ShardSet) -> None:
    trainer = TRAINERS[task](load_recipe(task, "toy"))
    data = data_for(trainer, samples)
    handed = (data, trainer.prepare, trainer.collate)
    file = io.BytesIO()
    pickler = Watching(file)
    pickler.dump(handed)
    assert not pickler.weights and file.tell() < 32e6
    batches = []
    for samples_, prepare, collate in (handed, pickle.loads(file.getvalue())):
        with stream(samples_, prepare, collate, Plan(len(data), 2, seed=0), 0, 1) as deliveries:
            batches.append(asdict(next(deliveries).batch))
    torch.testing.assert_close(*batches, rtol=0, atol=0, equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize("task", list(TRAINERS))
def test_a_run_that_was_stopped_ends_as_one_that_was_not(task: str, samples: ShardSet, tmp_path: Path) -> None:
    half = load_recipe(task, "toy").steps // 2
    whole = train(task, samples, tmp_path / "whole")
    stopped = train(task, samples, tmp_path / "parts", stop_at=half)
    assert stopped.step == half and not stopped.files
    resumed = train(task, samples, tmp_path / "parts")
    assert resumed.losses == whole.losses
    assert [path.name for path in whole.files] == [path.name for path in resumed.files]
    for one, other in zip(whole.files, resumed.files, strict=True):
        a, b = load_file(one), load_file(other)
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    states = [load(tmp_path / name) for name in ("whole", "parts")]
    assert states[0] is not None and states[1] is not None
    for network in states[0]["networks"]:
        for name, tensor in states[0]["networks"][network].items():
            assert torch.equal(tensor, states[1]["networks"][network][name]), name
    for path in whole.files:
        if path.name.startswith("mesh"):
            Predictor.load(path)
        else:
            load_checkpoint(path)
    assert list((tmp_path / "whole" / "pictures").glob("*.jpg")) and list(
        (tmp_path / "whole" / "tensorboard").iterdir()
    )


def test_a_start_brings_its_own_configuration_and_grows(tmp_path: Path) -> None:
    for config in (replace(small(), channel_max=24), replace(small(), channel_max=24, spatial_base=0, spatial_max=0)):
        path = tmp_path / "start.safetensors"
        torch.manual_seed(0)
        start = TextureNetwork(replace(config, resolution=64))
        save_checkpoint(start, path)
        for resolution in (64, 128):
            options = {"config": "small", "resolution": resolution, "start": str(path)}
            network = texture_network(options, load_open_body()).network
            assert network.config == replace(config, resolution=resolution)
            for name, tensor in start.state_dict().items():
                assert torch.equal(network.state_dict()[name], tensor), name
    save_checkpoint(TextureNetwork(config), path)
    with pytest.raises(ConfigError, match="cannot grow"):
        texture_network({"config": "small", "resolution": 64, "start": str(path)}, load_open_body())


@pytest.mark.slow
def test_a_run_on_centres_alone_leaves_all_else_as_it_was(samples: ShardSet, tmp_path: Path) -> None:
    toy = load_recipe("mesh", "toy")
    untrained = MeshTrainer(toy.with_(seed=3))
    first = untrained.export({"mesh": untrained.players["mesh"].network}, tmp_path, "start")[0]
    weights = {
        "center": 1.0,
        **dict.fromkeys(("camera", "joints_2d", "pose", "joints_3d", "joints_aligned", "shape", "prior"), 0.0),
    }
    recipe = toy.with_(options={**toy.options, "start": str(first), "only_centers": True, "weights": weights})
    run(MeshTrainer(recipe), recipe, samples, tmp_path / "run", "cpu")
    before, after = load_file(first), load_file(tmp_path / "run" / "mesh_predictor.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("final_layers.2.") for name in changed)


def test_a_checkpoint_that_dies_in_the_writing_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        save(tmp_path, {"step": step})
    assert load(tmp_path) == {"step": 2}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for moment in ("torch.save", "os.fsync", "os.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(moment, killed)
            with pytest.raises(KeyboardInterrupt):
                save(tmp_path, {"step": 3})
        assert load(tmp_path) == {"step": 2}, moment
    # Between the two renames.
    os.replace(tmp_path / LAST, tmp_path / PREVIOUS)
    assert load(tmp_path) == {"step": 2}
    (tmp_path / LAST).write_bytes(b"half a checkpoint")
    assert load(tmp_path) == {"step": 2}
    (tmp_path / PREVIOUS).write_bytes(b"")
    with pytest.raises(CheckpointProblem, match=r"No checkpoint of this run can be read: .*last\.ckpt"):
        load(tmp_path)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, {"step": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointProblem, match=r"last\.ckpt cannot be written \(.*No space left on device"):
        save(tmp_path, {"step": 2})
    assert load(tmp_path) == {"step": 1} and sorted(path.name for path in tmp_path.iterdir()) == [LAST]


def test_a_loss_that_is_no_number_stops_and_saves_its_batch(samples: ShardSet, tmp_path: Path) -> None:
    recipe = load_recipe("gan", "toy")
    trainer = GanTrainer(recipe)
    with torch.no_grad():
        generator: Any = trainer.players["generator"].network
        generator.network.synthesis.blocks[0].rgb_bias.fill_(torch.nan)
    with pytest.raises(
        TrainingError, match=r"At step 0 the loss of generator is nan.*bad-batch-0-0\.pt, its samples are train-0000"
    ) as caught:
        run(trainer, recipe, samples, tmp_path, "cpu")
    saved = torch.load(tmp_path / "bad-batch-0-0.pt", weights_only=False)
    assert saved["step"] == 0 and len(saved["names"]) == 2 and all(name in str(caught.value) for name in saved["names"])
    assert saved["batch"].texture.shape[0] == 2 and load(tmp_path) is None


def test_a_folder_of_another_recipe_is_refused(samples: ShardSet, tmp_path: Path) -> None:
    train("gan", samples, tmp_path, stop_at=1)
    recipe = load_recipe("gan", "toy").with_(learning_rate=0.5)
    with pytest.raises(TrainingError, match="holds a run of another recipe"):
        run(GanTrainer(recipe), recipe, samples, tmp_path, "cpu")


def test_the_paper_s_schedule() -> None:
    for task in ("mesh", "texture"):
        recipe = load_recipe(task, "paper")
        assert (recipe.optimiser, recipe.batch, recipe.steps) == ("adam", 16, 40_000)
        rates = [recipe.rate(step) for step in (0, 19_999, 20_000, 24_999, 25_000, 39_999)]
        assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])


def test_rates_rise_and_fall_as_the_recipe_says() -> None:
    recipe = TrainingRecipe("mesh", 100, 1, 1.0, warmup=10, cosine=True)
    assert [recipe.rate(step) for step in (0, 4)] == pytest.approx([0.1, 0.5], rel=0.02)
    assert recipe.rate(50) == pytest.approx(0.5) and recipe.rate(99) < 0.001


def test_every_shipped_recipe_can_be_used_and_bad_ones_are_named(tmp_path: Path) -> None:
    for task in TRAINERS:
        assert {"default", "toy"} <= set(recipe_names(task))
        for name in recipe_names(task):
            assert load_recipe(task, name).task == task
    with pytest.raises(RecipeError, match="no recipe 'big' for mesh: choose default, paper, toy"):
        load_recipe("mesh", "big")
    path = tmp_path / "mine.yaml"
    for text, message in (
        (
            "task: mesh\nsteps: 1\nbatch: 1\nlearning_rate: 1\nlearningrate: 2\n",
            "mine.yaml has unknown entries: learningrate",
        ),
        ("task: mesh\nsteps: 1\n", "mine.yaml lacks batch, learning_rate"),
        ("task: gan\nsteps: 1\nbatch: 1\nlearning_rate: 1\n", "is a recipe for 'gan', not for 'mesh'"),
        ("task: mesh\nsteps: 0\nbatch: 1\nlearning_rate: 1\n", "steps must be a whole number above 0"),
        ("task: [", "mine.yaml is not valid YAML"),
        ("", "mine.yaml holds no entries"),
    ):
        path.write_text(text)
        with pytest.raises(RecipeError, match=message):
            load_recipe("mesh", str(path))
    with pytest.raises(RecipeError, match="no options wings"):
        MeshTrainer(load_recipe("mesh", "toy").with_(options={"wings": 2}))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_nothing_to_a_scored_network_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: str) -> str:
        main(words)
        return capsys.readouterr().out

    data, out = str(tmp_path / "data"), str(tmp_path / "run")
    for split, count in (("train", "4"), ("held_out", "2")):
        call(
            "synthesize",
            "--out",
            data,
            "--count",
            count,
            "--split",
            split,
            "--side",
            "128",
            "--texture",
            "64",
            "--per-shard",
            "2",
            "--workers",
            "1",
        )
        assert (tmp_path / "data" / f"{split}.jpg").is_file()
    words = ("mesh", "--data", data, "--out", out, "--recipe", "toy", "--device", "cpu")
    assert "Stopped at step 2 of 4" in call(*words, "--stop-at", "2")
    assert "Trained to step 4" in call(*words, "--workers", "1")
    scores = call(
        "evaluate", "--weights", f"{out}/mesh_predictor.safetensors", "--data", data, "--out", str(tmp_path / "scores")
    )
    assert "recall, precision" in scores
    assert (tmp_path / "scores" / "table.csv").read_text().startswith("picture,mpjpe,pa_mpjpe,pve")
    words = ("complete", "--data", data, "--out", f"{out}-uv", "--recipe", "toy", "--device", "cpu")
    assert "Stopped at step 2 of 4" in call(*words, "--stop-at", "2")
    assert "Trained to step 4" in call(*words)


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    run_options: tuple[str, ...] = (
        "--out",
        "--recipe",
        "--steps",
        "--batch",
        "--learning-rate",
        "--precision",
        "--seed",
        "--device",
    )
    run_options += ("--workers", "--stop-at", "--minutes", "--data")
    for name in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        text = capsys.readouterr().out
        assert ended.value.code == 0 and f"usage: uvatar-train {name}" in text
        assert f"uvatar-train {name} --" in text  # an example
        if name in TRAINERS or name == "lifter":
            assert [option for option in run_options if f"{option} " not in text] == []


def test_options_that_make_no_sense_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["gan", "--out", str(tmp_path)], "Give either --data or --textures."),
        (["mesh", "--out", str(tmp_path), "--data", "x", "--stop-at", "0"], "--stop-at must be at least 1, not 0."),
        (["synthesize", "--out", str(tmp_path), "--side", "3"], "--side must be at least 64, not 3."),
        (["evaluate", "--out", str(tmp_path), "--weights", "mesh.safetensors"], "requires --data."),
        (["mesh", "--data", "x"], "--out"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        told = capsys.readouterr().err
        assert ended.value.code == 2 and message in told and "Traceback" not in told, told


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "uvatar_training.cli",
        "gan",
        "--data",
        str(tmp_path / "nowhere"),
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (
        done.returncode == 1
        and "nowhere: holds no shards" in done.stderr.replace("\n", "")
        and "Traceback" not in done.stderr
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun's gloo needs libuv there")
@pytest.mark.parametrize("task", ["gan", "texture"])
def test_two_processes_train_one_network(task: str, shards: Path, tmp_path: Path) -> None:
    words = [task, "--data", str(shards), "--out", str(tmp_path), "--recipe", "toy", "--device", "cpu"]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "uvatar_training.cli",
        *words,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=800, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Trained to step 4" in done.stdout
    load_checkpoint(tmp_path / "texture_predictor.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["mesh", "gan", "texture"])
def test_bfloat16_trains_too(task: str, samples: ShardSet, tmp_path: Path) -> None:
    recipe = load_recipe(task, "toy").with_(precision="bf16-mixed", steps=1)
    result = run(TRAINERS[task](recipe), recipe, samples, tmp_path, "cpu")
    assert result.step == 1 and result.files
    assert all(
        torch.isfinite(tensor).all() for tensor in load_file(result.files[0]).values() if tensor.is_floating_point()
    )
