"""The user's SMPL body, registered to the open body."""

from __future__ import annotations

from pathlib import Path

from uvatar.body import BodyModel
from uvatar.body.official import textured
from uvatar.mesh_predictor.smpl_files import load_neutral_smpl
from uvatar.runtime.weights import SMPL_NAMES, SMPL_UV, smpl_path
from uvatar.transfer.registration import Registration, register

UV_HELP = f"Download SMPL's UV map from smpl.is.tue.mpg.de and put {SMPL_UV} there unchanged."


class UserSmpl:
    """The SMPL files in a user's models folder: read and registered when they are first needed, and again if they
    change.
    """

    def __init__(self, source: BodyModel, models: Path) -> None:
        """``source``: the body that people are fitted with; ``models``: the folder."""
        self._source = source
        self._models = models
        self._files: tuple[tuple[str, int, int], ...] = ()
        self._registration: Registration | None = None

    @property
    def no_texture(self) -> str:
        """Why avatars have no texture, in a sentence for the user; empty if they have one."""
        return (
            ""
            if (self._models / SMPL_UV).is_file()
            else f"The SMPL body has no texture: {self._models / SMPL_UV} is missing. {UV_HELP}"
        )

    def registration(self) -> Registration:
        """The SMPL body and the source body in agreement.

        Raises BodyError if a file is missing or cannot be used.
        """
        body, uv = smpl_path(self._models) or self._models / SMPL_NAMES[0], self._models / SMPL_UV
        files = tuple(
            (str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in (body, uv) if path.is_file()
        )
        if self._registration is None or files != self._files:
            target = load_neutral_smpl(body)
            self._registration = register(self._source, with_uv(target, uv) if uv.is_file() else target)
            self._files = files
        return self._registration


def with_uv(body: BodyModel, uv: Path) -> BodyModel:
    """The body with its UV map. Raises BodyError if the map belongs to another mesh."""
    return BodyModel(textured(body.data, uv))
