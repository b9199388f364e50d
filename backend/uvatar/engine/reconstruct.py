"""The order of the stages: a photo in, people with fitted, clothed, textured bodies out.

    decode_photo -> Perception.found -> parsed_people -> Predictor.look -> fit_people -> with_faces -> clothing_offsets
    -> texture_person

The Mesh Predictor runs where its weights are installed: its people are further starts for `fit_people` beside the
landmarks' own, and without refinement they are the result (`uvatar.engine.bodies`). A result file of ROMP or another
estimator can take its place. The Texture Predictor runs inside `texture_person`, where its weights are installed: it is
given what the photos show of the texture, and what it makes of that takes the place of the smooth completion. People
are fitted and textured on the open body. Where the job asks for SMPL, the finished ones are transferred to it
(`uvatar.engine.jobs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvatar.data.photo import PhotoFile
from uvatar.data.progress import Progress, ignore_progress, of_stage
from uvatar.engine.bodies import fit_bodies
from uvatar.engine.detect import detect, left_out_notes
from uvatar.engine.finish import counted, finish_people
from uvatar.engine.timing import Stopwatch
from uvatar.protocol.options import DEFAULT_OPTIONS, Options
from uvatar.results.result import PhotoResult

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine


def reconstruct(
    photo: PhotoFile, engine: Engine, options: Options = DEFAULT_OPTIONS, report: Progress = ignore_progress
) -> PhotoResult:
    """All stages for one photo.

    Args:
        photo: its name, which messages use, and the file's bytes.
        engine: what is loaded.
        report: told how far the photo is.

    Raises:
        PhotoError: the photo cannot be read, shows nobody (NobodyFound), or none of its people becomes an avatar
            (NotFitted).
        ResultFileError: the people given for the photo are missing, or none of them is in it.
    """
    clock = Stopwatch()
    report("reading", 0.0, "Reading the photo")
    detected = detect(photo, engine, options, report, clock)
    report("fitting", 0.3, f"Fitting {counted(detected.people)}")
    fits = fit_bodies(detected, engine, options, of_stage(report, "fitting", 0.3, 0.6))
    clock.lap("fitting")
    notes = left_out_notes(detected, options.max_people)
    return finish_people(detected, fits, notes, engine, options, report, clock)
