"""The engine as a model process loads it: the class that ``--pipeline module:Class`` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from uvatar.data.photo import PhotoFile
from uvatar.data.progress import Progress
from uvatar.engine.complete import complete_texture
from uvatar.engine.engine import Engine
from uvatar.engine.find import find_people
from uvatar.engine.jobs import PhotoDone, run_job
from uvatar.engine.placement import device_notes, in_words, network_devices
from uvatar.mesh_predictor.prediction import OPEN_BODY
from uvatar.protocol.options import read_options


class Pipeline:
    """An engine, loaded once; jobs go through it one at a time. A thin layer over `uvatar.engine.jobs.run_job`."""

    def __init__(
        self, threads: int | None = None, engine: Engine | None = None, device: str | None = None, gpu: int = 0
    ) -> None:
        """``engine``: one that is loaded already; the others as `Engine.load` has them."""
        self.engine = engine or Engine.load(threads=threads, device=device, gpu=gpu)

    @property
    def facts(self) -> dict[str, Any]:
        """A description of what is loaded and what it runs on now, for `uvatar status`."""
        engine = self.engine
        return {
            "body": engine.body.data.name,
            "licence": engine.body.data.licence,
            "mesh_predictor": engine.mesh_predictor.name if engine.mesh_predictor else None,
            "texture_predictor": engine.texture_predictor.resolution if engine.texture_predictor else None,
            "threads": engine.threads,
            "device": in_words(engine),
            "devices": network_devices(engine),
            "device_notes": device_notes(engine),
        }

    def reconstruct(
        self, photos: Sequence[PhotoFile], options: Mapping[str, Any], progress: Progress, photo_done: PhotoDone
    ) -> None:
        """Reconstruct photos; ``options`` as the protocol has them.

        Raises UvatarError if an option is unknown or asks for what is not installed.
        """
        run_job(photos, read_options(options), self.engine, progress, photo_done)

    def find_people(self, photos: Sequence[PhotoFile], progress: Progress, photo_done: PhotoDone) -> None:
        """Find the people of photos only (`uvatar.engine.find`)."""
        find_people(photos, self.engine, progress, photo_done)

    def complete_texture(self, pictures: Sequence[PhotoFile], body: str, progress: Progress) -> dict[str, Any]:
        """Complete a painted texture (`uvatar.engine.complete`); ``body``: "open_body" or "smpl".

        Raises UvatarError if that body is not installed.
        """
        if body != OPEN_BODY:
            progress("reading", 0.0, "Preparing the SMPL body")
        registration = self.engine.registration(body)
        return complete_texture(pictures, self.engine.atlases if registration is None else registration.target_atlases)
