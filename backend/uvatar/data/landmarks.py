"""The 33 body landmarks of BlazePose: what perception finds of a person, and what bodies carry to be compared with it.

Source: MediaPipe's pose landmark model (Bazarevsky et al. 2020, "BlazePose: On-device Real-time Body Pose Tracking").
Left and right are the person's own.
"""

from __future__ import annotations

from enum import IntEnum

from uvatar.data.sides import other_side


class Landmark(IntEnum):
    """A BlazePose landmark; its value is its row in every (33, ...) array of landmarks."""

    NOSE = 0
    LEFT_EYE_INNER = 1
    LEFT_EYE = 2
    LEFT_EYE_OUTER = 3
    RIGHT_EYE_INNER = 4
    RIGHT_EYE = 5
    RIGHT_EYE_OUTER = 6
    LEFT_EAR = 7
    RIGHT_EAR = 8
    MOUTH_LEFT = 9
    MOUTH_RIGHT = 10
    LEFT_SHOULDER = 11
    RIGHT_SHOULDER = 12
    LEFT_ELBOW = 13
    RIGHT_ELBOW = 14
    LEFT_WRIST = 15
    RIGHT_WRIST = 16
    LEFT_PINKY = 17
    RIGHT_PINKY = 18
    LEFT_INDEX = 19
    RIGHT_INDEX = 20
    LEFT_THUMB = 21
    RIGHT_THUMB = 22
    LEFT_HIP = 23
    RIGHT_HIP = 24
    LEFT_KNEE = 25
    RIGHT_KNEE = 26
    LEFT_ANKLE = 27
    RIGHT_ANKLE = 28
    LEFT_HEEL = 29
    RIGHT_HEEL = 30
    LEFT_FOOT_INDEX = 31
    RIGHT_FOOT_INDEX = 32


LANDMARK_NAMES = tuple(landmark.name.lower() for landmark in Landmark)

# The groups below are lists, not tuples: `points[HIPS]` takes their rows, while numpy reads a tuple as one index for
# each axis.  Pairs are (left, right).
EYES = [Landmark.LEFT_EYE, Landmark.RIGHT_EYE]
EARS = [Landmark.LEFT_EAR, Landmark.RIGHT_EAR]
MOUTH = [Landmark.MOUTH_LEFT, Landmark.MOUTH_RIGHT]
SHOULDERS = [Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER]
ELBOWS = [Landmark.LEFT_ELBOW, Landmark.RIGHT_ELBOW]
WRISTS = [Landmark.LEFT_WRIST, Landmark.RIGHT_WRIST]
PINKIES = [Landmark.LEFT_PINKY, Landmark.RIGHT_PINKY]  # the knuckles of the little fingers
INDICES = [Landmark.LEFT_INDEX, Landmark.RIGHT_INDEX]  # the knuckles of the index fingers
THUMBS = [Landmark.LEFT_THUMB, Landmark.RIGHT_THUMB]
HIPS = [Landmark.LEFT_HIP, Landmark.RIGHT_HIP]
KNEES = [Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE]
ANKLES = [Landmark.LEFT_ANKLE, Landmark.RIGHT_ANKLE]
HEELS = [Landmark.LEFT_HEEL, Landmark.RIGHT_HEEL]
TOES = [Landmark.LEFT_FOOT_INDEX, Landmark.RIGHT_FOOT_INDEX]

HEAD = [Landmark.NOSE, *EARS]  # the points of the head that do not move with the face
FACE = [landmark for landmark in Landmark if landmark <= Landmark.MOUTH_RIGHT]  # nose, eyes, ears and mouth
TRUNK = [*SHOULDERS, *HIPS]

# For each landmark, the one on the other side of the body.
OTHER_SIDE_LANDMARKS = [Landmark[other_side(landmark.name)] for landmark in Landmark]

# The landmarks of COCO's 17 keypoints, in COCO's order.
COCO_LANDMARKS = [Landmark.NOSE, *EYES, *EARS, *SHOULDERS, *ELBOWS, *WRISTS, *HIPS, *KNEES, *ANKLES]
