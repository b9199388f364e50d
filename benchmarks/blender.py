"""Blender: how long an avatar takes to import, and a frame of a motion with pose correctives. Needs bpy.

    python -m benchmarks.blender

Run it after a change of the extension's scene folder. Times are processor time, which other programs disturb less: of
the main thread for the import, of all threads for the frames.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from benchmarks.csv_results import write_csv
from tests.blender_addon.sample import sample_result, smpl_sized
from uvatar_blender.core.result import parse_result
from uvatar_blender.scene import correctives
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import import_people, import_steps
from uvatar_blender.scene.motion import apply_motion, load_motion


def seconds_of(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """The seconds that a call takes, measured by ``clock``."""
    begun = clock()
    call()
    return clock() - begun


def import_slices(result: dict[str, Any]) -> list[float]:
    """The seconds of each slice of an import into an empty file."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    steps, ended, times = import_steps(parse_result(result), bpy.context.scene), object(), []
    last: list[object] = [None]
    while last[0] is not ended:
        times.append(seconds_of(lambda: last.__setitem__(0, next(steps, ended)), time.thread_time))
    return times


def frame_times(frames: int) -> list[float]:
    """The seconds per frame of a random motion of a body with 207 active pose correctives."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    rig = import_people(parse_result(smpl_sized(sample_result())), scene).rigs[0]
    assert len(correctives.correctives(rigs.find_body(rig))) == 207
    file = Path(bpy.app.tempdir) / "clip.npz"
    poses = np.random.default_rng(1).normal(0, 0.3, (frames, 72))
    np.savez(file, poses=poses, trans=np.zeros((frames, 3)), mocap_framerate=24.0)
    apply_motion(rig, load_motion(rig, file), "clip")
    return [seconds_of(lambda frame=frame: scene.frame_set(frame), time.process_time) for frame in range(frames)]  # type: ignore[misc]


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="imports (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=40, help="frames of the motion (default: %(default)s)")
    arguments = parser.parse_args()
    result = sample_result(texture=1024)
    runs = [import_slices(result) for _ in range(arguments.repeats)]
    frames = frame_times(arguments.frames)
    figures = {
        "import of 13,492 vertices with a 1024 texture": statistics.median(sum(run) for run in runs),
        "longest slice of it": statistics.median(max(run) for run in runs),
        "a frame with 207 correctives of 6,890 vertices": statistics.median(frames),
        "fastest such frame": min(frames),
    }
    for name, seconds in figures.items():
        print(f"{name}: {1e3 * seconds:.1f} ms")
    rows = [{"what": name, "CPU ms": 1e3 * seconds} for name, seconds in figures.items()]
    write_csv(
        "blender", rows, [f"{len(runs[0])} slices; medians of {arguments.repeats} imports, {arguments.frames} frames"]
    )


if __name__ == "__main__":
    main()
