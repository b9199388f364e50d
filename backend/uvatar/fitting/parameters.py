"""Bodies being fitted as the parameters that other stages know."""

from __future__ import annotations

import numpy as np

from uvatar.data.fit import BodyParameters
from uvatar.data.joints import WRIST_JOINTS
from uvatar.fitting.chain import State
from uvatar.fitting.hands import finger_poses, with_twist_shared
from uvatar.fitting.observations import Observations
from uvatar.geometry import rotations


def parameters_of(state: State, observed: Observations) -> list[BodyParameters]:
    """The bodies, a row for each of the people, with their fingers as the hand model saw them."""
    model = observed.model
    posed = model.skeleton.pose(state)
    orient = rotations.log(state.orient)
    parameters = []
    for i, pose in enumerate(state.pose):
        fingers = None
        if model.hand is not None:
            found = finger_poses(observed.hands[i], posed.rotations[i, WRIST_JOINTS], posed.forearms[i], model.hand)
            pose, fingers = with_twist_shared(pose, model.skeleton, found.seen), found.pose.astype(np.float32)
        parameters.append(
            BodyParameters(
                betas=state.betas[i].astype(np.float32),
                global_orient=orient[i].astype(np.float32),
                body_pose=np.concatenate([pose, np.zeros((2, 3))]).astype(np.float32),
                transl=state.transl[i].astype(np.float32),
                hand_pose=fingers,
            )
        )
    return parameters
