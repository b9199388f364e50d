"""SMPL's skeleton: 24 joints, each turning with its parent (Loper et al. 2015). Left and right are the person's own."""

from __future__ import annotations

from enum import IntEnum

from uvatar.data.sides import other_side


class Joint(IntEnum):
    """A joint of SMPL; its value is its row in every (24, ...) array of joints or rotations."""

    PELVIS = 0
    LEFT_HIP = 1
    RIGHT_HIP = 2
    SPINE1 = 3
    LEFT_KNEE = 4
    RIGHT_KNEE = 5
    SPINE2 = 6
    LEFT_ANKLE = 7
    RIGHT_ANKLE = 8
    SPINE3 = 9
    LEFT_FOOT = 10
    RIGHT_FOOT = 11
    NECK = 12
    LEFT_COLLAR = 13
    RIGHT_COLLAR = 14
    HEAD = 15
    LEFT_SHOULDER = 16
    RIGHT_SHOULDER = 17
    LEFT_ELBOW = 18
    RIGHT_ELBOW = 19
    LEFT_WRIST = 20
    RIGHT_WRIST = 21
    LEFT_HAND = 22
    RIGHT_HAND = 23


JOINT_NAMES = tuple(joint.name.lower() for joint in Joint)

# Each joint's parent; -1 at the pelvis. A parent comes before its children.
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

# How many joints a fit poses: all but the hands (22, 23), which stay at rest.
POSED_JOINTS = 22

# The groups below are lists, not tuples: `joints[HIP_JOINTS]` takes their rows, while numpy reads a tuple as one index
# for each axis.  Pairs are (left, right).
HIP_JOINTS = [Joint.LEFT_HIP, Joint.RIGHT_HIP]
KNEE_JOINTS = [Joint.LEFT_KNEE, Joint.RIGHT_KNEE]
ANKLE_JOINTS = [Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE]
FOOT_JOINTS = [Joint.LEFT_FOOT, Joint.RIGHT_FOOT]
COLLAR_JOINTS = [Joint.LEFT_COLLAR, Joint.RIGHT_COLLAR]
SHOULDER_JOINTS = [Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER]
ELBOW_JOINTS = [Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW]
WRIST_JOINTS = [Joint.LEFT_WRIST, Joint.RIGHT_WRIST]
HAND_JOINTS = [Joint.LEFT_HAND, Joint.RIGHT_HAND]
SPINE_JOINTS = [Joint.SPINE1, Joint.SPINE2, Joint.SPINE3]  # from the pelvis up

# For each joint, the one on the other side of the body.
OTHER_SIDE_JOINTS = [Joint[other_side(joint.name)] for joint in Joint]
