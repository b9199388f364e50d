"""What a page knows about its avatar: figures, poses, motions, expressions and maps, as JSON has them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from uvatar.data.labels import LABEL_COLOURS, Label
from uvatar.gltf.clips import Figure
from uvatar.protocol.expressions import EXPRESSIONS, MOODS, VISEMES
from uvatar.protocol.levelling import levelling
from uvatar.protocol.rig import BODY_JOINTS, whole_pose
from uvatar.viewer import motions
from uvatar.viewer.maps import coloured, coloured_labels, material_colours

# From the camera's frame (x right, y down) to the page's (y up), in which the camera looks along -z.
_UPRIGHT = np.diag([1.0, -1.0, -1.0])
_LEVEL = (0.0, -1.0, 0.0)  # up in the frame of a level camera
_DIGITS = 3  # decimals of rotations, radians, and weights
_SOURCES = {
    Label.SEEN: "Seen in the photo",
    Label.MIRRORED: "Mirrored from the other side",
    Label.COMPLETED: "Grown from its neighbourhood",
    Label.PREDICTED: "Predicted by the network",
}


def facts_of(
    person: Mapping[str, Any],
    up: Sequence[float] | None,
    figure: Figure,
    version: str,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Everything but pictures.

    Args:
        person: of a result, or the entry "person" of a result.json.
        up: (3,) against gravity in the camera's frame; None for a level camera.
        figure: what motions are made for; without axes of fingers, only the body's joints move.
        version: of the backend that made the avatar.
        notes: sentences about the avatar.

    Raises:
        KeyError, TypeError, ValueError: the person is damaged.
    """
    finger_axes = figure.finger_axes
    joints = BODY_JOINTS if finger_axes is None else None
    poses = {
        "photo": ("Photo", photo_pose(person, up)),
        "t": ("T pose (rest)", motions.rest_pose()),
        "a": ("A pose", motions.a_pose(finger_axes)),
        "relaxed": ("At ease", motions.relaxed_pose(finger_axes)),
    }
    clips = {"walk": ("Walk", motions.walk(figure)), "wave": ("Wave", motions.wave(finger_axes))}
    return {
        "about": _about(person, version),
        "notes": list(notes),
        "poses": [
            {"id": key, "title": title, "turns": _numbers(pose[:joints].reshape(-1))}
            for key, (title, pose) in poses.items()
        ],
        "clips": [
            {"id": key, "title": title, "rate": motions.FRAMES_PER_SECOND,
             "frames": _numbers(clip.poses[:, :joints].reshape(len(clip.poses), -1))}
            for key, (title, clip) in clips.items()
        ],
        "talk": _talk(figure),
        "moods": {**_photographed(person), **MOODS},
        "visemes": VISEMES,
    }  # fmt: skip


def photo_pose(person: Mapping[str, Any], up: Sequence[float] | None) -> NDArray[np.float64]:
    """(55, 3) the pose in the photo, turned as the photo's camera sees it and upright; axis-angle."""
    pose = np.asarray(whole_pose(np.asarray(person["pose"], np.float64), person), np.float64)
    turn = _UPRIGHT @ levelling(_LEVEL if up is None else up) @ Rotation.from_rotvec(pose[0]).as_matrix()
    pose[0] = Rotation.from_matrix(turn).as_rotvec()
    return pose


def maps_of(person: Mapping[str, Any], side: int) -> list[dict[str, Any]]:
    """The maps of a person of a result; pictures wider than ``side`` pixels are made smaller."""
    maps = []
    if person.get("source_png"):
        maps.append(source_map(coloured_labels(person["source_png"]), side))
    if person.get("materials_png"):
        names = [str(name) for name in person["material_names"]]
        colours = material_colours(len(names))
        legend = [(name.capitalize(), colour) for name, colour in zip(names, colours[1:], strict=True)]
        maps.append(_map("materials", "Materials", coloured(person["materials_png"], colours), legend, side))
    return maps


def source_map(picture: Image.Image, side: int) -> dict[str, Any]:
    """The map of where texels come from, by its picture in readable colours."""
    legend = [(title, LABEL_COLOURS[label]) for label, title in _SOURCES.items()]
    return _map("source", "Sources", picture, legend, side)


def data_address(data: bytes, kind: str) -> str:
    """The address that holds a file itself; ``kind``: of media, such as image/png."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _map(
    key: str, title: str, picture: Image.Image, legend: Sequence[tuple[str, tuple[int, ...]]], side: int
) -> dict[str, Any]:
    """A picture by the body's texture coordinates, with the meanings of its colours."""
    if picture.width > side:
        picture = picture.resize((side, side), Image.Resampling.NEAREST)
    data = io.BytesIO()
    picture.save(data, "PNG")
    meanings = [{"title": words, "colour": "#{:02x}{:02x}{:02x}".format(*colour)} for words, colour in legend]
    return {"id": key, "title": title, "picture": data_address(data.getvalue(), "image/png"), "legend": meanings}


def _about(person: Mapping[str, Any], version: str) -> list[tuple[str, str]]:
    """What the panel says about the person, in pairs."""
    lines = [("Made by", f"Uvatar {version}"), ("Confidence", f"{float(person['confidence']):.0%}")]
    for name, value in (person.get("measurements") or {}).items():
        if value:
            lines.append((name.replace("_", " ").capitalize(), f"{float(value):.0f} cm"))
    return lines


def _talk(figure: Figure) -> dict[str, Any]:
    clip = motions.talk(figure)
    assert clip.weights is not None
    spoken, moved = np.flatnonzero(clip.weights.any(0)), np.flatnonzero(clip.poses.any((0, 2)))
    return {
        "rate": motions.FRAMES_PER_SECOND,
        "keys": [EXPRESSIONS[key] for key in spoken],
        "weights": _numbers(clip.weights[:, spoken]),
        "joints": moved.tolist(),
        "turns": _numbers(clip.poses[:, moved].reshape(len(clip.poses), -1)),
    }


def _photographed(person: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The photo's expression among the moods, where there is one."""
    if person.get("expression") is None:
        return {}
    weights = {
        name: weight
        for name, weight in zip(EXPRESSIONS, _numbers(np.asarray(person["expression"])), strict=True)
        if weight
    }
    return {"photo": weights} if weights else {}


def _numbers(values: NDArray[np.floating[Any]]) -> list[Any]:
    plain: list[Any] = (np.round(np.asarray(values, np.float64), _DIGITS) + 0.0).tolist()  # no minus zeros
    return plain
