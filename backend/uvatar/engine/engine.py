"""The engine: body, networks and all other data that the stages read from files, loaded once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import cv2

from uvatar.body import BodyError, BodyModel, load_open_body
from uvatar.clothing.model import ClothingModel, prepare_clothing
from uvatar.clothing.shoes import Shoes, load_shoes
from uvatar.data.progress import Progress, ignore_progress
from uvatar.engine.avatars import PhotoFailed, reconstruct_avatars
from uvatar.engine.placement import placement_of
from uvatar.files.avatar import Avatar
from uvatar.files.given_photos import GivenPhoto
from uvatar.fitting.face.field import FaceField
from uvatar.fitting.models import PoseModels
from uvatar.fitting.prepared import FittingModel, prepare_fitting
from uvatar.mesh_predictor.prediction import OPEN_BODY
from uvatar.mesh_predictor.predictor import LIGHT_FILE, ROMP_FILE, Predictor
from uvatar.parsing.parsers import CHOICE, NONE, Parser, ParserError, find_parser
from uvatar.parsing.shipped import ShippedParser
from uvatar.perception.perception import Perception
from uvatar.protocol.devices import CPU
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.given_people import estimates
from uvatar.protocol.options import DEFAULT_OPTIONS, Options
from uvatar.runtime.devices import ANYWHERE, Placement
from uvatar.runtime.memory import keep_freed
from uvatar.runtime.networks import CheckpointError
from uvatar.runtime.weights import WeightsError, check_shipped, models_folder, weights_folder
from uvatar.texture_predictor.predictor import FILE as TEXTURE_FILE
from uvatar.texture_predictor.predictor import TexturePredictor
from uvatar.texturing import Atlases, FaceSpline
from uvatar.texturing.generators.plugins import generator_names
from uvatar.transfer import Registration, UserSmpl

BODY_FILE = "open_body.npz"
Network = TypeVar("Network")


@dataclass(frozen=True)
class Engine:
    """Everything that reconstruction needs besides photos; `load` reads it from the disk.

    Attributes:
        body: the open body, on which all people are fitted and textured.
        perception: finds people, landmarks and masks.
        fitting: the open body prepared for fitting, with the pose prior and, where it is installed, the lifter.
        face_field: moves the body's head with the landmarks of its face; None where their file belongs to another body.
        face: lays a photo's face on the body's; None likewise.
        atlases: the open body's surface and texels, by the texture's size.
        smpl: the SMPL files that the user brings.
        models: folder of the user's model files.
        mesh_predictor, texture_predictor: None where their weights are not installed or cannot be used.
        mesh_predictor_problem, texture_predictor_problem: what is wrong with weights that cannot be used.
        parser: says what each pixel of a person shows; None where none is installed.
        parser_problem: what is wrong with one that cannot be used.
        threads: CPU threads that the stages use.
        placement: where the networks were asked to run; `uvatar.engine.placement` says where they do.
    """

    body: BodyModel
    perception: Perception
    fitting: FittingModel
    face_field: FaceField | None
    face: FaceSpline | None
    atlases: Atlases
    smpl: UserSmpl
    models: Path
    mesh_predictor: Predictor | None
    texture_predictor: TexturePredictor | None
    mesh_predictor_problem: UvatarError | None = None
    texture_predictor_problem: UvatarError | None = None
    parser: Parser | None = None
    parser_problem: UvatarError | None = None
    threads: int = 1
    placement: Placement = ANYWHERE

    @classmethod
    def load(
        cls,
        assets: Path | str | None = None,
        *,
        models: Path | str | None = None,
        threads: int | None = None,
        device: str | None = None,
        gpu: int = 0,
    ) -> Engine:
        """Load everything; it takes some seconds.

        Args:
            assets: folder of the shipped weights, by default the one that is installed.
            models: folder of the user's own model files, by default UVATAR_MODELS or ``models`` in the data folder.
            threads: CPU threads to use, all cores by default.
            device: what the networks run on: "cpu", "cuda", "directml", "coreml", "mps", or "auto" for the best that
                starts; by default what UVATAR_DEVICE says, or "auto". A GPU that fails later gives its work to the CPU.
            gpu: which of several GPUs, from 0.

        Raises:
            DeviceError: a device that was asked for by name cannot be used.
            WeightsError: shipped weights are missing or damaged.
            BodyError: the open body cannot be read.
        """
        threads = threads or os.cpu_count() or 1
        # Stages run people in parallel, one thread each: libraries that start threads of their own would only get in
        # the way.
        cv2.setNumThreads(1)
        keep_freed()
        placement = placement_of(device, gpu, threads)
        assets, models = Path(assets or weights_folder()), Path(models or models_folder())
        body = _body_in(assets)
        faces = FaceField.load(assets, body)
        mesh_predictor, mesh_problem = _found(
            lambda: Predictor.find(assets, models, placement), models, "the Mesh Predictor is left out."
        )
        texture_predictor, texture_problem = _found(
            lambda: TexturePredictor.find(assets, models, body, placement),
            models,
            "textures are completed without the Texture Predictor.",
        )
        parser, parser_problem = _parser_in(assets, models, threads)
        return cls(
            body=body,
            perception=Perception(assets / "perception", threads=threads),
            fitting=prepare_fitting(body, PoseModels.load(assets), faces.points if faces else None),
            face_field=faces,
            face=FaceSpline.load(assets, body),
            atlases=Atlases(body),
            smpl=UserSmpl(body, models),
            models=models,
            mesh_predictor=mesh_predictor,
            texture_predictor=texture_predictor,
            mesh_predictor_problem=mesh_problem,
            texture_predictor_problem=texture_problem,
            parser=parser,
            parser_problem=parser_problem,
            threads=threads,
            placement=placement,
        )

    @cached_property
    def clothing(self) -> ClothingModel:
        """The open body prepared for clothing: work that a fast job does without, so done when needed."""
        return prepare_clothing(self.body)

    @cached_property
    def shoes(self) -> Shoes | None:
        """The open body's shoes; needed and read as `clothing` is."""
        return load_shoes(self.body.data)

    def reconstruct(
        self,
        photos: GivenPhoto | Iterable[GivenPhoto],
        options: Options = DEFAULT_OPTIONS,
        progress: Progress = ignore_progress,
        failed: PhotoFailed | None = None,
    ) -> Iterator[Avatar]:
        """The avatars of everybody in the photos, photo by photo, as soon as each photo is done.

        Args:
            photos: a path, a photo file's bytes, a pair of name and bytes, or a list of these.
            options: with ``same_person=True`` all photos become one avatar.
            progress: called with the stage's name, the fraction of the photo that is done (0..1) and a message.
            failed: called with the name and the UvatarError of each photo that cannot be used; the others go on.
                None raises the first one's error.

        Raises UvatarError if a photo, or all of them, cannot be used, and where the options ask for what is not
        installed.
        """
        return reconstruct_avatars(photos, self, options, progress, failed)

    def registration(self, body: str) -> Registration | None:
        """The registration of the body with this name to the open body; None if it is the open body.

        Raises UvatarError (`Code.NO_BODY`) where its files are missing or cannot be used.
        """
        if body == OPEN_BODY:
            return None
        try:
            return self.smpl.registration()
        except BodyError as error:
            raise UvatarError(str(error), Code.NO_BODY, "Or choose the open body; see `uvatar weights`.") from error

    def check(self, options: Options) -> None:
        """Raise UvatarError if the options require a network or a texture generator that is not installed."""
        if not options.refine and self.mesh_predictor is None and estimates(options.given_people) is None:
            raise self._no_mesh_predictor()
        if options.texture in ("predicted", "combined") and self.texture_predictor is None:
            raise self._no_texture_predictor()
        if options.texture_generator not in generator_names():
            message = f"There is no texture generator {options.texture_generator!r}."
            fix = f"Choose one of: {', '.join(generator_names())}."
            raise UvatarError(message, Code.BAD_OPTION, fix)

    def _no_mesh_predictor(self) -> UvatarError:
        why = f"neither {LIGHT_FILE} in Uvatar's weights nor {ROMP_FILE} in {self.models} was found."
        if self.mesh_predictor_problem:
            why = self.mesh_predictor_problem.message
        message = f"Without refinement the Mesh Predictor alone makes the result, but its weights are missing: {why}"
        fix = (
            f"Put {ROMP_FILE} into {self.models}, give a result file with --from-npz, or leave refinement on. See "
            "`uvatar weights`."
        )
        return UvatarError(message, Code.NO_WEIGHTS, fix)

    def _no_texture_predictor(self) -> UvatarError:
        why = f"{TEXTURE_FILE} was found neither in Uvatar's weights nor in {self.models}."
        if self.texture_predictor_problem:
            why = self.texture_predictor_problem.message
        message = f"A predicted texture requires the Texture Predictor, but its weights are missing: {why}"
        return UvatarError(message, Code.NO_WEIGHTS, "Choose the projected texture, or see `uvatar weights`.")


def _body_in(assets: Path) -> BodyModel:
    """The open body in a folder of weights. Raises WeightsError if that is not complete."""
    if not (assets / BODY_FILE).is_file():
        raise WeightsError(f"{BODY_FILE} is missing from {assets}. Install Uvatar again, or give another folder.")
    check_shipped(assets)
    return load_open_body(assets / BODY_FILE)


def _parser_in(assets: Path, models: Path, threads: int) -> tuple[Parser | None, UvatarError | None]:
    """The parser, where there is one, and what is wrong with one that cannot be used.

    Like perception and the pose lifter it runs on the CPU: it takes some hundredths of a second.
    """
    placement = Placement(CPU, threads=threads)
    try:
        return find_parser(models, lambda: ShippedParser.load(assets, placement), threads), None
    except (ParserError, CheckpointError) as error:
        return None, UvatarError(str(error), Code.BAD_WEIGHTS, f"Remove it, or set {CHOICE}={NONE}.")


def _found(
    find: Callable[[], Network | None], models: Path, meanwhile: str
) -> tuple[Network | None, UvatarError | None]:
    """A network, where there are weights, and what is wrong with a file of the user's that cannot be used."""
    try:
        return find(), None
    except CheckpointError as error:
        fix = f"Replace or remove the file in {models}; until then {meanwhile}"
        return None, UvatarError(str(error), Code.BAD_WEIGHTS, fix)
