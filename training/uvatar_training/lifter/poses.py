"""Random poses to render: motion capture, mirrored and recombined, and the sitting, kneeling and lying poses it lacks.

All poses are (24, 3) axis-angles, radians, in body axes (x to the person's left, y up, z forward). Joint 0 rotates the
pelvis in a world with y up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.data.arrays import Floats
from uvatar.data.joints import (
    ANKLE_JOINTS,
    COLLAR_JOINTS,
    ELBOW_JOINTS,
    HIP_JOINTS,
    KNEE_JOINTS,
    POSED_JOINTS,
    SHOULDER_JOINTS,
    SPINE_JOINTS,
    WRIST_JOINTS,
)
from uvatar_training.synthesis.bank import ARM_JOINTS, HEAD_JOINTS, load_bank, mirrored

LEG_JOINTS = [*HIP_JOINTS, *KNEE_JOINTS, *ANKLE_JOINTS]
BANK_SHARE, LYING_SHARE = 0.66, 0.1
RECOMBINED = {"arms": 0.3, "legs": 0.2, "head": 0.5}
INVENTED_ARM_JOINTS, INVENTED_LEGS = 0.2, 0.08
JITTER = 0.07  # radians, of every joint


@dataclass(frozen=True)
class Stance:
    """A family of leg poses; each field is a range (least, most), radians.

    Attributes:
        hip, knee: flexion.
        spread: of the thighs away from the middle.
        turn: outward rotation of the thighs.
        lean: of the whole spine forwards.
        tilt: of the pelvis backwards from upright.
        even: whether both legs are nearly alike.
    """

    hip: tuple[float, float]
    knee: tuple[float, float]
    spread: tuple[float, float] = (-0.05, 0.3)
    turn: tuple[float, float] = (-0.15, 0.4)
    lean: tuple[float, float] = (-0.1, 0.7)
    tilt: tuple[float, float] = (-0.2, 0.3)
    even: bool = False


STANCES = {
    "standing": Stance((-0.1, 0.15), (0.0, 0.15), (-0.03, 0.2), (0.0, 0.3), (-0.1, 0.2), (-0.1, 0.1)),
    "weight on one leg": Stance((-0.1, 0.7), (0.0, 1.0), lean=(-0.15, 0.4)),
    "on a chair": Stance((1.0, 1.8), (0.6, 2.0), tilt=(-0.2, 0.6)),
    "on a chair, upright": Stance(
        (1.3, 1.7), (1.2, 1.7), (0.0, 0.25), (-0.1, 0.2), (-0.1, 0.4), (-0.1, 0.3), even=True
    ),
    "legs crossed": Stance((1.3, 1.8), (1.0, 1.8), (-0.3, 0.05), (-0.2, 0.3), tilt=(0.0, 0.4)),
    "on the floor, legs out": Stance((1.0, 1.8), (0.0, 0.9), tilt=(-0.1, 0.5)),
    "on the floor, cross-legged": Stance((1.3, 1.9), (1.6, 2.4), (0.3, 0.9), (0.3, 0.9), tilt=(0.0, 0.4)),
    "kneeling": Stance((-0.1, 0.5), (1.2, 2.0), even=True),
    "kneeling on the heels": Stance((0.6, 1.2), (2.0, 2.5), tilt=(-0.5, 0.2), even=True),
    "on one knee": Stance((-0.2, 1.7), (1.2, 2.0)),
    "squatting": Stance((1.5, 2.2), (1.8, 2.5), (0.1, 0.5), (0.1, 0.5), (0.1, 0.9), (-0.6, 0.1), even=True),
    "half a squat": Stance((0.4, 1.4), (0.5, 1.5), (0.0, 0.4), lean=(0.0, 0.8), tilt=(-0.5, 0.1), even=True),
    "bent over": Stance((0.3, 1.2), (0.0, 0.5), lean=(0.3, 1.3), tilt=(-1.2, -0.1), even=True),
    "any legs": Stance((-0.5, 2.2), (0.0, 2.4), (-0.3, 0.9), (-0.5, 0.8), (-0.3, 0.9), (-0.6, 0.5)),
}


@dataclass(frozen=True)
class PoseSampler:
    """Draws random poses.

    Attributes:
        bank: (N, 24, 3) poses of motion capture, without those held out for evaluation.
    """

    bank: NDArray[np.float64]

    @classmethod
    def load(cls, path: Path, validation: bool = False) -> PoseSampler:
        """A sampler of a bank's training poses, or with ``validation`` of its held-out poses alone.

        Raises:
            DataError: the bank cannot be used, see `load_bank`.
        """
        return cls(load_bank(path, validation))

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw a pose (24, 3)."""
        pose = self._captured(rng) if rng.random() < BANK_SHARE else self._invented(rng)
        if rng.random() < INVENTED_ARM_JOINTS:
            for side in (0, 1):
                if rng.random() < 0.7:
                    _invent_arm(pose, side, rng)
        if rng.random() < LYING_SHARE:
            _lay_down(pose, rng)
        pose[1:POSED_JOINTS] += rng.normal(0, JITTER, (POSED_JOINTS - 1, 3))
        # The captured poses have no twist of the forearms.
        pose[WRIST_JOINTS, 0] += rng.normal(0, 0.3, 2)
        pose[KNEE_JOINTS, 0] = np.maximum(pose[KNEE_JOINTS, 0], 0.0)
        pose[POSED_JOINTS:] = 0
        return mirrored(pose[None])[0] if rng.random() < 0.5 else pose

    def _any(self, rng: np.random.Generator) -> NDArray[np.float64]:
        pose: NDArray[np.float64] = self.bank[rng.integers(len(self.bank))]
        return pose

    def _captured(self, rng: np.random.Generator) -> NDArray[np.float64]:
        pose = self._any(rng).copy()
        for part, joints in (("arms", ARM_JOINTS), ("legs", LEG_JOINTS), ("head", HEAD_JOINTS)):
            if rng.random() < RECOMBINED[part]:
                pose[joints] = self._any(rng)[joints]
        return pose

    def _invented(self, rng: np.random.Generator) -> NDArray[np.float64]:
        names = list(STANCES)
        stance = STANCES[names[rng.integers(len(names))]]
        pose = np.zeros((24, 3))
        pose[[*ARM_JOINTS, *HEAD_JOINTS]] = self._any(rng)[[*ARM_JOINTS, *HEAD_JOINTS]]
        _pose_legs(pose, stance, rng)
        pose[SPINE_JOINTS, 0] = rng.uniform(*stance.lean) / 3
        pose[SPINE_JOINTS, 1:] = rng.normal(0, 0.08, 2)
        pose[0] = (
            Rotation.from_euler("x", -rng.uniform(*stance.tilt)) * Rotation.from_euler("z", rng.normal(0, 0.1))
        ).as_rotvec()
        return pose


def _pose_legs(pose: Floats, stance: Stance, rng: np.random.Generator) -> None:
    first: dict[str, float] = {}
    for side, sign in ((0, 1.0), (1, -1.0)):
        angle = {name: rng.uniform(*getattr(stance, name)) for name in ("hip", "knee", "spread", "turn")}
        if stance.even and first:
            angle = {name: 0.85 * first[name] + 0.15 * value for name, value in angle.items()}
        first = first or angle
        # Flexion is applied first: spread and outward rotation are those of the flexed thigh.
        hip = Rotation.from_euler("z", sign * angle["spread"]) * Rotation.from_euler("x", -angle["hip"])
        pose[HIP_JOINTS[side]] = (hip * Rotation.from_euler("y", sign * angle["turn"])).as_rotvec()
        pose[KNEE_JOINTS[side]] = [angle["knee"], 0, 0]
        pose[ANKLE_JOINTS[side]] = rng.normal(0, 0.15, 3)


def _invent_arm(pose: Floats, side: int, rng: np.random.Generator) -> None:
    """Pose an arm at random, though not far behind the body: hand on the hip, folded, at the head, pointing."""
    sign = 1.0 if side == 0 else -1.0
    direction = rng.normal([0.35, -0.5, 0.35], [0.5, 0.6, 0.5])
    direction /= np.linalg.norm(direction)
    aim, _ = Rotation.align_vectors([direction], [[1.0, 0, 0]])
    upper = aim * Rotation.from_euler("x", rng.uniform(-1.2, 1.2))
    flip = np.array([1.0, sign, sign])
    collar, shoulder, elbow, wrist = (
        pair[side] for pair in (COLLAR_JOINTS, SHOULDER_JOINTS, ELBOW_JOINTS, WRIST_JOINTS)
    )
    pose[collar] = rng.normal(0, 0.08, 3)
    pose[shoulder] = upper.as_rotvec() * flip
    pose[elbow] = [0, -sign * rng.uniform(0, 2.4), 0]
    pose[wrist] = rng.normal(0, 0.25, 3)


def _lay_down(pose: Floats, rng: np.random.Generator) -> None:
    """Rotate the person onto the back, the belly or a side."""
    axis, angle = [("x", -90), ("x", 90), ("z", 90), ("z", -90)][rng.choice(4, p=[0.4, 0.2, 0.2, 0.2])]
    about = Rotation.from_euler("y", rng.uniform(-0.4, 0.4)) * Rotation.from_rotvec(pose[0])
    pose[0] = (Rotation.from_euler(axis, angle + rng.normal(0, 12), degrees=True) * about).as_rotvec()
