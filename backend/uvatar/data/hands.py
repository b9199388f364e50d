"""The 21 landmarks of a hand, in the order of MediaPipe's hand landmark model (Zhang et al. 2020)."""

from __future__ import annotations

from enum import IntEnum


class HandLandmark(IntEnum):
    """A point of a hand; its value is its row in every (21, ...) array of them. The knuckles are the MCP joints."""

    WRIST = 0
    THUMB_CMC = 1
    THUMB_MCP = 2
    THUMB_IP = 3
    THUMB_TIP = 4
    INDEX_MCP = 5
    INDEX_PIP = 6
    INDEX_DIP = 7
    INDEX_TIP = 8
    MIDDLE_MCP = 9
    MIDDLE_PIP = 10
    MIDDLE_DIP = 11
    MIDDLE_TIP = 12
    RING_MCP = 13
    RING_PIP = 14
    RING_DIP = 15
    RING_TIP = 16
    PINKY_MCP = 17
    PINKY_PIP = 18
    PINKY_DIP = 19
    PINKY_TIP = 20


# Lists, so that they index the rows of an array of points.
# All without the last two of each finger and the thumb's tip: they stay where they are when fingers curl.
STEADY_HAND_LANDMARKS = [
    HandLandmark.WRIST, HandLandmark.THUMB_CMC, HandLandmark.THUMB_MCP, HandLandmark.THUMB_IP,
    HandLandmark.INDEX_MCP, HandLandmark.INDEX_PIP, HandLandmark.MIDDLE_MCP, HandLandmark.MIDDLE_PIP,
    HandLandmark.RING_MCP, HandLandmark.RING_PIP, HandLandmark.PINKY_MCP, HandLandmark.PINKY_PIP,
]  # fmt: skip
# The bones of the fingers and of the palm's sides, between neighbouring landmarks.
HAND_BONES = [
    (HandLandmark.WRIST, HandLandmark.THUMB_CMC), (HandLandmark.THUMB_CMC, HandLandmark.THUMB_MCP),
    (HandLandmark.THUMB_MCP, HandLandmark.THUMB_IP), (HandLandmark.THUMB_IP, HandLandmark.THUMB_TIP),
    (HandLandmark.WRIST, HandLandmark.INDEX_MCP), (HandLandmark.INDEX_MCP, HandLandmark.INDEX_PIP),
    (HandLandmark.INDEX_PIP, HandLandmark.INDEX_DIP), (HandLandmark.INDEX_DIP, HandLandmark.INDEX_TIP),
    (HandLandmark.INDEX_MCP, HandLandmark.MIDDLE_MCP), (HandLandmark.MIDDLE_MCP, HandLandmark.MIDDLE_PIP),
    (HandLandmark.MIDDLE_PIP, HandLandmark.MIDDLE_DIP), (HandLandmark.MIDDLE_DIP, HandLandmark.MIDDLE_TIP),
    (HandLandmark.MIDDLE_MCP, HandLandmark.RING_MCP), (HandLandmark.RING_MCP, HandLandmark.RING_PIP),
    (HandLandmark.RING_PIP, HandLandmark.RING_DIP), (HandLandmark.RING_DIP, HandLandmark.RING_TIP),
    (HandLandmark.RING_MCP, HandLandmark.PINKY_MCP), (HandLandmark.WRIST, HandLandmark.PINKY_MCP),
    (HandLandmark.PINKY_MCP, HandLandmark.PINKY_PIP), (HandLandmark.PINKY_PIP, HandLandmark.PINKY_DIP),
    (HandLandmark.PINKY_DIP, HandLandmark.PINKY_TIP),
]  # fmt: skip
# The outline of the palm.
PALM = [
    HandLandmark.WRIST, HandLandmark.THUMB_CMC, HandLandmark.INDEX_MCP, HandLandmark.MIDDLE_MCP,
    HandLandmark.RING_MCP, HandLandmark.PINKY_MCP,
]  # fmt: skip
