"""Commands that train networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from uvatar_training.commands.training_options import OPTIONAL, TrainingOptions, progress, tell_skipped

if TYPE_CHECKING:
    from uvatar_training.data.stream import Samples


@dataclass(frozen=True, kw_only=True)
class TrainMesh(TrainingOptions):
    """Train the Mesh Predictor, which finds people in a photo and predicts their poses.

    uvatar-train mesh --data data --out runs/mesh

    The data are made by `synthesize` or `import-agora`. Put the weights, runs/mesh/mesh_predictor.safetensors, into
    your models folder to use them (`uvatar weights` shows where it is).

    Attributes:
        data: Folder of shards (uvatar-train synthesize).
    """

    data: Path

    def run(self) -> None:
        """Train."""
        from uvatar_training.data.shards import open_shards
        from uvatar_training.trainers.mesh import MeshTrainer

        samples = open_shards(self.data, "train", pictures_only=True)
        recipe = self.changed_recipe("mesh")
        self.train(MeshTrainer(recipe), recipe, samples)


@dataclass(frozen=True, kw_only=True)
class TrainGan(TrainingOptions):
    """Pre-train the Texture Predictor's generator on textures alone, without photos.

    uvatar-train gan --data data --out runs/gan

    Its weights are a start for `complete` and `texture`, which then need fewer steps.

    Attributes:
        data: Folder of shards whose people have textures.
        textures: Alternatively, a folder of textures in the open body's UV layout, or SURREAL's smpl_data.
        smpl: With SURREAL: an SMPL file.
        smpl_uv: With SURREAL: SMPL's OBJ with texture coordinates.
    """

    data: Annotated[Path | None, OPTIONAL] = None
    textures: Annotated[Path | None, OPTIONAL] = None
    smpl: Annotated[Path | None, OPTIONAL] = None
    smpl_uv: Annotated[Path | None, OPTIONAL] = None

    def __post_init__(self) -> None:
        """Raises ValueError for options that exclude each other."""
        super().__post_init__()
        if (self.data is None) == (self.textures is None):
            raise ValueError("Give either --data or --textures.")

    def run(self) -> None:
        """Train."""
        from uvatar.body import load_open_body, load_smpl
        from uvatar_training.data.shards import open_shards
        from uvatar_training.data.textures import TextureSamples, surreal_textures, texture_folder
        from uvatar_training.trainers.gan import GanTrainer

        body = load_open_body().in_network_layout() if self.smpl is None else load_smpl(self.smpl, self.smpl_uv)
        recipe = self.changed_recipe("gan")
        samples: Samples[Any]
        if self.textures is not None:
            read = texture_folder if self.smpl is None else surreal_textures
            samples = TextureSamples(read(self.textures, body.data, 512), "train", body.data.name)
        else:
            assert self.data is not None
            samples = open_shards(self.data, "train")
        self.train(GanTrainer(recipe, body), recipe, samples)


@dataclass(frozen=True, kw_only=True)
class TrainComplete(TrainingOptions):
    """Train the Texture Predictor on textures that are partly hidden; two CPU cores are enough.

    uvatar-train complete --data data --out runs/coarse --recipe coarse

    uvatar-train complete --data data --out runs/uv --start runs/coarse/texture_predictor.safetensors

    It works in the UV plane: the network is shown what a photo would show of a known texture, and predicts the rest.
    The weights that ship with Uvatar were made this way.

    Attributes:
        data: Folder of shards (uvatar-train synthesize).
        start: Checkpoint to start from, for example of gan.
    """

    data: Path
    start: Annotated[Path | None, OPTIONAL] = None

    def run(self) -> None:
        """Train."""
        from uvatar_training.data.uv_people import open_uv_people
        from uvatar_training.trainers.complete import CompleteTrainer

        recipe = self.changed_recipe("complete", start=self.start)
        trainer = CompleteTrainer(recipe)
        with progress() as bar:
            task = bar.add_task("people of the shards", total=None)

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            side, workers = trainer.config.photo_side, max(1, self.workers)
            people, skipped = open_uv_people(self.data, "train", side, workers=workers, progress=show)
        tell_skipped(skipped)
        self.train(trainer, recipe, people)


@dataclass(frozen=True, kw_only=True)
class TrainTexture(TrainingOptions):
    """Train the Texture Predictor on pictures of people whose bodies are known.

    uvatar-train texture --data data --out runs/texture --start runs/gan/texture_predictor.safetensors

    No texture has to be known: the predicted one is rendered and compared with the picture.

    Attributes:
        data: Folder of shards (uvatar-train synthesize).
        start: Checkpoint to start from, for example of gan.
    """

    data: Path
    start: Annotated[Path | None, OPTIONAL] = None

    def run(self) -> None:
        """Train."""
        from uvatar_training.data.shards import open_shards
        from uvatar_training.trainers.texture import TextureTrainer

        recipe = self.changed_recipe("texture", start=self.start)
        samples = open_shards(self.data, "train")
        self.train(TextureTrainer(recipe), recipe, samples)


@dataclass(frozen=True, kw_only=True)
class TrainJoint(TrainingOptions):
    """Train both predictors together, end to end.

    uvatar-train joint --data data --out runs/joint --mesh-start runs/mesh/mesh_predictor.safetensors --texture-start
    runs/texture/texture_predictor.safetensors

    Start from predictors that were trained alone, by `mesh` and `texture`.

    Attributes:
        data: Folder of shards (uvatar-train synthesize).
        mesh_start: The Mesh Predictor to start from.
        texture_start: The Texture Predictor to start from.
    """

    data: Path
    mesh_start: Annotated[Path | None, OPTIONAL] = None
    texture_start: Annotated[Path | None, OPTIONAL] = None

    def run(self) -> None:
        """Train."""
        from uvatar_training.data.shards import open_shards
        from uvatar_training.trainers.joint import JointTrainer

        recipe = self.changed_recipe("joint", mesh=self.mesh_start, texture=self.texture_start)
        samples = open_shards(self.data, "train")
        self.train(JointTrainer(recipe), recipe, samples)


@dataclass(frozen=True, kw_only=True)
class TrainLifter(TrainingOptions):
    """Train the pose lifter, which predicts depth and pose from a person's landmarks.

    uvatar-train lifter --data lifter --validation lifter-validation --poses bank.npz --out runs/lifter

    Both folders of data are made by `lifter-data`.

    Attributes:
        data: Folder of shards (uvatar-train lifter-data).
        validation: Folder of shards of held-out poses (lifter-data --validation), for scores during training.
        poses: Pose bank (.npz, aa (N, 24, 3)) for additional, simulated people.
    """

    data: Path
    validation: Path
    poses: Path

    def run(self) -> None:
        """Train."""
        from uvatar_training.trainers.lifter import LifterData, LifterTrainer

        recipe = self.changed_recipe("lifter")
        data = LifterData.open(self.data, self.validation, self.poses)
        self.train(LifterTrainer(recipe, data), recipe, data.people)


@dataclass(frozen=True, kw_only=True)
class TrainParser(TrainingOptions):
    """Train the parser, which says what each pixel of a person shows.

    uvatar-train parser --data crops --out runs/parser

    Attributes:
        data: Folder of crops (uvatar-train parser-data), some of them held out.
    """

    data: Path

    def run(self) -> None:
        """Train."""
        from uvatar_training.parsing.features import FeatureCrops
        from uvatar_training.trainers.parser import ParserTrainer

        recipe = self.changed_recipe("parser")
        crops, held_out = FeatureCrops(self.data, "train"), FeatureCrops(self.data, "held_out")
        self.train(ParserTrainer(recipe, held_out), recipe, crops)
