"""Tuned numbers for the form of the face."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FaceFormSettings:
    """Tuned numbers for the form of the face.

    Attributes:
        facing: mean cosine between normals and lines of sight, over the half of the face that faces the camera most,
            below which too little of the face is seen: it is turned away by some 50 degrees.
        visible: cosines at which a landmark begins to be seen, and is fully seen.
        hidden: trust in a landmark that is not seen: the face model guesses it.
        depth: trust in a landmark's depth beside its place in the picture. The face model's depth is close to that of
            an average human face, whoever is seen, which the open body's differs from by 3 mm: two thirds of it are
            believed of a face that looks at the camera. In a prototype, of one man's head from 55 degrees beside the
            photo, none, half and all of it gave errors of 2.40, 1.88 and 2.02 mm.
        nose_depth: trust in the depth of the nose's ridge beside that of other landmarks. The face model gives
            everybody an adult's nose: with 1, noses of five children stand out 3 to 6 mm more than their bodies' own,
            with 0.1, 2 to 5 mm.
            On 24 rendered heads it changes the error from 55 degrees by 0.02 mm.
        doubt: trust in the body's own form beside a landmark that is fully seen.
        pose_depth: trust in depth where the head's direction is found: the depths of rendered heads nod by 6 degrees.
            With 0.03, directions are off by 4.1 degrees on 12 rendered heads; with 1, by 6.5.
        steps: of Gauss and Newton in each round.
        rounds: of finding the head's direction and its form in turn.
        largest_move: metres that a landmark moves at most.
        believed_scales: least and largest size of the face beside the fitted body's that can be this body's.
        scales: least and largest size that the head is given.
        largest_turn: radians between the head's direction in the fit and in the photo that are believed.
        largest_lean: radians by which the neck is bent at most so that the head comes to its place.
        largest_stretch: metres by which the neck becomes longer or shorter at most for the same.
        largest_distance: from the body's face to the photo's, face widths, that is believed.
    """

    facing: float = 0.64
    visible: tuple[float, float] = (0.2, 0.7)
    hidden: float = 0.02
    depth: float = 0.05
    nose_depth: float = 0.1
    doubt: float = 0.1
    pose_depth: float = 0.03
    steps: int = 2
    rounds: int = 4
    largest_move: float = 0.02
    believed_scales: tuple[float, float] = (0.6, 1.6)
    scales: tuple[float, float] = (0.9, 1.12)
    largest_turn: float = 0.6
    largest_lean: float = 0.35
    largest_stretch: float = 0.012
    largest_distance: float = 0.7


DEFAULT_SETTINGS = FaceFormSettings()
