"""The points of MediaPipe's face mesh (Kartynnik et al. 2019) that have a name here; the mesh has 478, irises included.

Left and right are the person's own.
"""

from __future__ import annotations

from enum import IntEnum

from uvatar.data.landmarks import Landmark


class FaceLandmark(IntEnum):
    """A point of the face mesh; its value is its row in every (478, ...) array of them."""

    NOSE_TIP = 1
    NOSE_BASE = 2
    RIGHT_EYE_OUTER = 33
    MOUTH_RIGHT = 61
    RIGHT_EYE_INNER = 133
    LEFT_EYE_OUTER = 263
    MOUTH_LEFT = 291
    LEFT_EYE_INNER = 362
    RIGHT_IRIS = 468  # its centre
    LEFT_IRIS = 473  # its centre


FACE_LANDMARKS = 478
FACE_SCORE = 0.5  # of `Person.face_score`: above it, the mesh is more likely a face than not, and is used

# The body landmarks that the face mesh gives, too, and more sharply.
FACE_OF_BODY_LANDMARK = {
    Landmark.NOSE: FaceLandmark.NOSE_TIP,
    Landmark.LEFT_EYE_INNER: FaceLandmark.LEFT_EYE_INNER,
    Landmark.LEFT_EYE: FaceLandmark.LEFT_IRIS,
    Landmark.LEFT_EYE_OUTER: FaceLandmark.LEFT_EYE_OUTER,
    Landmark.RIGHT_EYE_INNER: FaceLandmark.RIGHT_EYE_INNER,
    Landmark.RIGHT_EYE: FaceLandmark.RIGHT_IRIS,
    Landmark.RIGHT_EYE_OUTER: FaceLandmark.RIGHT_EYE_OUTER,
    Landmark.MOUTH_LEFT: FaceLandmark.MOUTH_LEFT,
    Landmark.MOUTH_RIGHT: FaceLandmark.MOUTH_RIGHT,
}

# The rims of the lids, from the outer corner round below and back above.
LEFT_LIDS = [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
RIGHT_LIDS = [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]
# The irises: the centre, then four points of the rim.
LEFT_IRIS = [473, 474, 475, 476, 477]
RIGHT_IRIS = [468, 469, 470, 471, 472]
# Points of the cheeks, the nose and the forehead, where neither hair nor beard is likely.
BARE_SKIN = [50, 280, 205, 425, 101, 330, 4, 5, 151, 108, 337]
# The rim of the open mouth, once round.
INNER_LIPS = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
# Where the lips touch: points of the upper and of the lower one, from the person's right to left.
LIPS = [(80, 88), (81, 178), (82, 87), (13, 14), (312, 317), (311, 402), (310, 318)]
# The ridge of the nose from between the eyes to the tip, and the septum below it.
NOSE_RIDGE = [168, 6, 197, 195, 5, 4, 1, 19, 94, 2]
# The rim of the face, once round, from the forehead's top.
FACE_OVAL = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
]  # fmt: skip
