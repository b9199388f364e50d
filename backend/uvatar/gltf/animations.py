"""The sample clips as glTF animations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pygltflib as gltf
from scipy.spatial.transform import Rotation

from uvatar.data.arrays import Floats
from uvatar.gltf.clips import Figure, Played, played
from uvatar.gltf.document import Document
from uvatar.gltf.surface import Skeleton
from uvatar.protocol.clips import Clip
from uvatar.protocol.expressions import EXPRESSIONS

_STILL = 1e-4  # radians: what moves by less is said once


def add_clips(
    document: Document, figure: Figure, skeleton: Skeleton, joints: Sequence[int], meshes: Mapping[int, Sequence[str]]
) -> None:
    """Add the clips Walk (one stride on the spot), Idle and Talk, which repeat without a jump.

    Args:
        document: with skeleton and meshes.
        figure: of the body.
        skeleton: its joints.
        joints: their nodes.
        meshes: nodes of the meshes, each with the names of its morph targets.
    """
    for clip in Clip:
        moves = played(clip, figure)
        tracks = _Tracks(document, clip.value.capitalize(), moves.seconds)
        tracks.add(joints[0], "translation", skeleton.heads[0] + moves.pelvis)
        for joint, node in enumerate(joints):
            vectors = moves.poses[:, joint]
            if np.abs(vectors).max() > _STILL:
                still = bool(np.ptp(vectors, axis=0).max() < _STILL)
                tracks.add(node, "rotation", Rotation.from_rotvec(vectors).as_quat(), still)
        for node, targets in meshes.items():
            if not set(EXPRESSIONS).isdisjoint(targets):
                tracks.add(node, "weights", _weights(moves, targets))


class _Tracks:
    """An animation of a document."""

    def __init__(self, document: Document, name: str, seconds: Floats) -> None:
        self._document = document
        self._animation = gltf.Animation(name=name)
        document.content.animations.append(self._animation)
        self._every = document.add_values(seconds[:, None], bounds=True)
        self._ends = document.add_values(seconds[[0, -1], None], bounds=True)

    def add(self, node: int, path: str, values: Floats, still: bool = False) -> None:
        """Add values (F, C) of what ``path`` names; of one that stays ``still``, the first and the last."""
        output = self._document.add_values(values[[0, -1]] if still else values)
        self._animation.samplers.append(
            gltf.AnimationSampler(input=self._ends if still else self._every, output=output)
        )
        target = gltf.AnimationChannelTarget(node=node, path=path)
        self._animation.channels.append(gltf.AnimationChannel(sampler=len(self._animation.samplers) - 1, target=target))


def _weights(moves: Played, targets: Sequence[str]) -> Floats:
    """(F x T, 1) the weights of all morph targets, frame by frame."""
    table = np.zeros((len(moves.poses), len(targets)))
    for column, name in enumerate(targets):
        if name in moves.weights:
            table[:, column] = moves.weights[name]
    return table.reshape(-1, 1)
