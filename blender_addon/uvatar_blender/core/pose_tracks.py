# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing one person from files with several people or nested dictionaries: ROMP, BEV, GVHMR, 4D-Humans, WHAM."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

_PARTS = ("smpl_params_global", "smpl_params_incam", "pred_smpl_params")  # dictionaries with the poses, the best first
_ROWS = ("smpl_thetas", "smpl_betas", "cam_trans", "global_orient", "body_pose")  # ROMP's, with a row per person


def one_person(content: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Choose one person.

    Args:
        content: what the file holds.

    Returns:
        The arrays of the person, with a row per frame, and notes on who was left out.

    Raises:
        ValueError: the file contains no people; the message is part of a sentence.
    """
    flat = {str(key): value for key, value in content.items()}
    tracks = flat.pop("sequence_results", None)
    if isinstance(tracks, dict) and tracks:
        return _longest_track(tracks)
    results = flat.pop("results", None)
    if isinstance(results, dict) and results:
        if all(isinstance(value, dict) for value in results.values()):
            return _through_frames(results)
        return _of_photo(results)
    part = next((flat[key] for key in _PARTS if isinstance(flat.get(key), dict)), None)
    if part is not None:
        rest = {key: value for key, value in flat.items() if key not in _PARTS}
        return {**rest, **part}, ()
    if flat and all(isinstance(value, dict) for value in flat.values()):  # WHAM: a dictionary per person
        person = max(flat.values(), key=_length)
        return dict(person), _others(len(flat))
    return flat, ()


def _longest_track(tracks: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    people = [track for track in tracks.values() if isinstance(track, dict)]
    if not people:
        raise ValueError("its sequence_results contain no people")
    track = max(people, key=_length)
    content = {key: np.asarray(track[key]) for key in _ROWS if key in track}
    numbers = np.ravel(np.asarray(track.get("frame_id", np.arange(_length(track)))))
    if numbers.dtype.kind in "iu" and len(numbers) == _length(track) and len(numbers):
        content = _held(content, numbers.astype(np.int64))
    return content, _others(len(people))


def _through_frames(frames: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Collect the person seen in most frames; if the people are not numbered, the first person of each frame."""
    names = sorted(
        frames, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
    )
    ids = [np.ravel(np.asarray(frames[name].get("track_ids", ()))).tolist() for name in names]
    counted = Counter(number for row in ids for number in row)
    who = counted.most_common(1)[0][0] if counted else None
    rows: dict[str, list[Any]] = {}
    seen: list[int] = []
    for index, (name, row) in enumerate(zip(names, ids, strict=True)):
        person = row.index(who) if who in row else (0 if who is None else None)
        arrays = {key: np.asarray(frames[name][key]) for key in _ROWS if key in frames[name]}
        if person is None or not arrays or any(array.ndim < 1 or len(array) <= person for array in arrays.values()):
            continue
        seen.append(index)
        for key, array in arrays.items():
            rows.setdefault(key, []).append(array[person])
    if not seen or any(len(row) != len(seen) for row in rows.values()):
        raise ValueError("its results contain no people")
    most = max(max((len(row) for row in ids), default=0), len(counted))
    return _held({key: np.stack(row) for key, row in rows.items()}, np.array(seen)), _others(most)


def _of_photo(results: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the first person of a photo, as a clip of one frame."""
    content = {key: np.asarray(results[key])[:1] for key in _ROWS if key in results and np.ndim(results[key])}
    return content, _others(max((len(np.asarray(results[key])) for key in content), default=1))


def _held(content: dict[str, Any], numbers: Any) -> dict[str, Any]:
    """Fill gaps: a person who is not seen in a frame stays as in the last one that has them.

    Args:
        content: arrays with a row for each of these frames.
        numbers: the frames, ascending.

    Returns:
        Arrays with a row for every frame from the first to the last.
    """
    span = int(numbers[-1] - numbers[0]) + 1
    if not len(numbers) <= span <= 10 * len(numbers) or (np.diff(numbers) <= 0).any():
        return content
    before = np.searchsorted(numbers, np.arange(numbers[0], numbers[0] + span), side="right") - 1
    return {key: array[before] if len(array) == len(numbers) else array for key, array in content.items()}


def _length(person: Any) -> int:
    if not isinstance(person, dict):
        return 0
    return max(
        (len(value) for value in person.values() if isinstance(value, np.ndarray | list) and np.ndim(value)), default=0
    )


def _others(people: int) -> tuple[str, ...]:
    return () if people < 2 else (f"The file holds {people} people; the one seen longest, or first, was used.",)
