"""A pipeline without models for the real server: photos that begin with "bad" show nobody, all others the sample's
people.

Photos that contain "crowd" show three people beside each other, of whom those are made who are chosen.
The photo "wait:PATH" is worked on until the file PATH exists; "heavy" shows somebody who is much work to import; people
in photos that contain "face" have fingers and expressions.
Painted textures are completed as by the real pipeline, which needs no model for that.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

from tests.blender_addon.sample import OPEN_BODY, heavy_result, sample_result, with_body_once, with_fingers
from uvatar.photos.decoding import PhotoError


class SamplePipeline:
    facts: ClassVar[dict[str, Any]] = {"name": "sample"}

    def __init__(self, threads: int | None = None, device: str | None = None, gpu: int = 0) -> None:
        pass

    def reconstruct(
        self, photos: list[tuple[str, bytes]], options: dict[str, Any], progress: Any, photo_done: Any
    ) -> None:
        for index, (name, data) in enumerate(photos):
            progress("fitting", 0.5, f"Fitting {name}")
            if data.startswith(b"bad"):
                raise PhotoError(f"No person was found in {name}.")
            if data.startswith(b"wait:"):
                while not Path(data[5:].decode()).exists():
                    progress("fitting", 0.6, f"Waiting with {name}")
                    time.sleep(0.02)
            if data == b"heavy":
                result = with_body_once(heavy_result(name))
            else:
                plain = (
                    crowd(name, options) if b"crowd" in data else sample_result(2 if b"two" in data else 1, name=name)
                )
                result = with_fingers(plain) if b"face" in data else with_body_once(plain)
            photo_done(index, result)

    def find_people(self, photos: list[tuple[str, bytes]], progress: Any, photo_done: Any) -> None:
        for index, (name, data) in enumerate(photos):
            progress("finding people", 0.5, "Looking for people")
            if data.startswith(b"bad"):
                raise PhotoError(f"No person was found in {name}.")
            photo_done(index, found(name, CROWD if b"crowd" in data else [[0.0, 0.0, 300.0, 400.0]]))

    def complete_texture(self, pictures: list[tuple[str, bytes]], body: str, progress: Any) -> dict[str, Any]:
        return completed(pictures)


CROWD = [[20.0, 60.0, 110.0, 390.0], [110.0, 80.0, 200.0, 385.0], [205.0, 70.0, 290.0, 395.0]]


def crowd(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Three people, or those of them who are chosen."""
    everybody = sample_result(people=3, name=name)
    rows = [row for one in options.get("given_people") or () for row in one.get("chosen", ())]
    chosen = {int(row[0]) for row in rows} or {0, 1, 2}
    people = [{**everybody["people"][n], "box": CROWD[n]} for n in sorted(chosen)]
    return {**everybody, "people": people}


def found(name: str, boxes: list[list[float]]) -> dict[str, Any]:
    """The result of a job that only finds people; the last of three is not likely to be one."""
    photo = sample_result(name=name)["photo"]
    people = [{"box": box, "likelihood": 0.9, "likely": n < 2} for n, box in enumerate(boxes)]
    return {"schema": 2, "people": [], "version": "0", "errors": [], "found": {"photo": photo, "people": people}}


def completed(pictures: list[tuple[str, bytes]]) -> dict[str, Any]:
    """The real pipeline's result for a painted texture."""
    from uvatar.body import load_open_body
    from uvatar.engine.complete import complete_texture
    from uvatar.texturing.layout.atlas import Atlases

    return complete_texture(pictures, Atlases(load_open_body(OPEN_BODY)))
