"""The form of a person's head: the body's face landmarks brought to where the face model sees them, in space.

Each landmark of a photo is a line of sight, with a less certain depth along it. The head's direction and size follow
from all of them together; what is left is the form of the face, which is taken to be symmetric: each landmark then has
two lines of sight, its own and its partner's, so that a turned head says more of its depth. Landmarks that are not
seen follow their partners. The form belongs to the rest shape, so that it is right from every side, and is found before
clothes are fitted and the photo is projected, which both need it. What several photos of a person say adds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.body.model import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.face import FACE_SCORE
from uvatar.data.fit import Fit
from uvatar.data.joints import Joint
from uvatar.data.person import Person
from uvatar.fitting.face.expression import find_expression
from uvatar.fitting.face.field import MIRRORED, FaceField
from uvatar.fitting.face.head import HeadPlace, with_head_at
from uvatar.fitting.face.settings import DEFAULT_SETTINGS, FaceFormSettings
from uvatar.geometry import rotations
from uvatar.geometry.mesh import vertex_normals


@dataclass(frozen=True)
class FaceEvidence:
    """What one photo says of the form of a head.

    Attributes:
        head: where the head is in the photo.
        information: (K, 3, 3) how much is known of the displacement of each landmark in each direction of the rest
            pose; 1 for a place that is fully seen.
        moment: (K, 3) information @ displacement, metres of the rest pose, without that by the expression.
        expression: (52,) weights of the expression keys in this photo, or None if nothing is known of it.
    """

    head: HeadPlace
    information: NDArray[np.float64]
    moment: NDArray[np.float64]
    expression: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class _Seen:
    """The landmarks of a photo, and the same of the body.

    Attributes:
        landmarks, normals: (K, 3) of the body in the rest pose, with the person's betas.
        observed: (K, 3) metres, camera frame.
        rays: (K, 3) unit lines of sight.
        nose: (K,) how far each belongs to the nose, 0..1.
    """

    landmarks: NDArray[np.float64]
    normals: NDArray[np.float64]
    observed: NDArray[np.float64]
    rays: NDArray[np.float64]
    nose: NDArray[np.float64]

    def visible(self, rotation: Floats, settings: FaceFormSettings) -> NDArray[np.float64]:
        """(K,) how far each landmark of a head that is turned so (3, 3) is seen."""
        start, full = settings.visible
        cosine = -((self.normals @ rotation.T) * self.rays).sum(1)
        share: NDArray[np.float64] = np.clip((cosine - start) / (full - start), 0, 1) + settings.hidden
        return share

    def evidence(self, form: Floats, moves: Floats, near: HeadPlace, settings: FaceFormSettings) -> FaceEvidence:
        """What is seen of a head of about this form (K, 3) that is about there, without the expression's ``moves``."""
        along = self.rays[:, :, None] * self.rays[:, None]
        visible, head = self.visible(near.rotation, settings)[:, None, None], near
        information = visible * (np.eye(3) - (1 - settings.pose_depth) * along)
        for _ in range(settings.steps):
            head = head.refined(self.landmarks + form + moves, self.observed, information)
        visible = self.visible(head.rotation, settings)
        missing = self.observed - head.placed(self.landmarks + moves)
        # what the depths say of the head's direction is left out: they nod by 6 degrees on heads that do not
        depth = (missing * self.rays).sum(1)
        plane = np.column_stack([np.ones(len(depth)), self.observed[:, :2] - self.observed[:, :2].mean(0)])
        missing -= self.rays * (plane @ np.linalg.solve(plane.T * visible @ plane, plane.T * visible @ depth))[:, None]
        trust = settings.depth * (1 - (1 - settings.nose_depth) * self.nose)
        across = visible[:, None, None] * (np.eye(3) - (1 - trust[:, None, None]) * along)
        rest = head.rotation.T @ across @ head.rotation
        displacement = missing @ head.rotation / head.scale
        return FaceEvidence(head, rest, np.einsum("kij,kj->ki", rest, displacement))


def face_evidence(
    fit: Fit,
    person: Person,
    camera: Camera,
    body: BodyModel,
    field: FaceField,
    settings: FaceFormSettings = DEFAULT_SETTINGS,
) -> FaceEvidence | None:
    """What a photo says of the form of a head; None where it shows no face, or one that cannot be this body's."""
    if person.face is None or person.face_depth is None or person.face_score <= FACE_SCORE:
        return None
    points = field.points
    rest = body.data.v_template + body.data.shapedirs @ fit.body.betas
    landmarks, normals = points.at(rest), points.at(vertex_normals(rest, body.data.faces))
    mesh = points.at(body.posed(fit.body)[0]).astype(np.float64)
    pixels = person.face[points.index].astype(np.float64)
    width = float(np.ptp(pixels[:, 0]))
    if np.linalg.norm(camera.project(mesh).mean(0) - pixels.mean(0)) > settings.largest_distance * width:
        return None
    rays = camera.rays(pixels)
    observed = _in_space(pixels, person.face_depth[points.index], float(np.linalg.norm(mesh.mean(0))), camera)
    seen = _Seen(landmarks.astype(np.float64), normals.astype(np.float64), observed, rays, field.nose)
    fitted = HeadPlace.between(seen.landmarks, mesh, np.ones(len(mesh)))
    head, form = HeadPlace.between(seen.landmarks, observed, seen.visible(fitted.rotation, settings)), 0 * landmarks
    if not _believed(head, fitted, settings):
        return None
    moves = 0 * landmarks
    for _ in range(settings.rounds):
        evidence = seen.evidence(form, moves, head, settings)
        if field.keys is not None and person.face_expression is not None:
            moment = evidence.moment + _applied(evidence.information, moves)
            expression = find_expression(evidence.information, moment, person.face_expression, field.keys)
            moves = field.keys.movement(expression)
            moment -= _applied(evidence.information, moves)
            evidence = replace(evidence, moment=moment, expression=expression)
        head, form = evidence.head, face_form([evidence], field, settings)
    cosine = -((seen.normals @ head.rotation.T) * rays).sum(1)
    enough = float(np.sort(cosine)[-len(cosine) // 2 :].mean()) >= settings.facing
    return evidence if enough and _believed(head, fitted, settings) else None


def _applied(information: Floats, moves: Floats) -> NDArray[np.float64]:
    """(K, 3) information (K, 3, 3) @ moves (K, 3)."""
    applied: NDArray[np.float64] = np.einsum("kij,kj->ki", information, moves)
    return applied


def _believed(head: HeadPlace, fitted: HeadPlace, settings: FaceFormSettings) -> bool:
    """Whether a head in the photo can be that of the fitted body."""
    turn = np.linalg.norm(rotations.log(fitted.rotation.T @ head.rotation))
    least, largest = settings.believed_scales
    return bool(turn < settings.largest_turn and least < head.scale / fitted.scale < largest)


def face_form(
    evidence: Sequence[FaceEvidence], field: FaceField, settings: FaceFormSettings = DEFAULT_SETTINGS
) -> NDArray[np.float64]:
    """(K, 3) symmetric moves of the landmarks, metres of the rest pose, that agree best with all photos."""
    information: Floats = np.sum([one.information for one in evidence], 0)
    moment: Floats = np.sum([one.moment for one in evidence], 0)
    mirrored = MIRRORED[:, None] * MIRRORED
    information = information + information[field.partners] * mirrored
    moment = moment + moment[field.partners] * MIRRORED
    # what is hardly seen follows what is seen beside it, and the face stays smooth
    information = np.tensordot(field.neighbours, information, 1)
    moment = field.neighbours @ moment
    form = np.linalg.solve(information + settings.doubt * np.eye(3), moment[..., None])[..., 0]
    if field.keys is not None and any(one.expression is not None for one in evidence):
        form = field.keys.closed(form)
    length = np.linalg.norm(form, axis=1, keepdims=True)
    limited: NDArray[np.float64] = form * np.minimum(1, settings.largest_move / np.maximum(length, 1e-9))
    return limited


def with_face(
    fit: Fit,
    evidence: FaceEvidence | None,
    form: Floats,
    scale: float,
    body: BodyModel,
    field: FaceField,
    settings: FaceFormSettings = DEFAULT_SETTINGS,
) -> Fit:
    """The fit with the form of the person's head added to its offsets, and the head where this photo shows it.

    Args:
        fit: to one of the person's photos.
        evidence: of the same photo, or None if it does not show the face.
        form: (K, 3) see `face_form`.
        scale: size of the head beside the fitted body's.
    """
    data = body.data
    rest = data.v_template + data.shapedirs @ fit.body.betas
    offsets = fit.offsets.copy()
    offsets[field.vertices] += field.offsets(form)
    head = data.joint_template[Joint.HEAD] + data.joint_shapedirs[Joint.HEAD] @ fit.body.betas
    size = np.clip(scale, *settings.scales)
    moves = (size - 1) * (rest + offsets - head)
    parameters = fit.body
    if evidence is not None:
        parameters = with_head_at(parameters, evidence.head, body, settings.largest_lean)
        if evidence.expression is not None:
            parameters = replace(parameters, expression=evidence.expression.astype(np.float32))
        reached = body.posed(parameters)[1][Joint.HEAD]
        up = float((evidence.head.rotation.T @ (evidence.head.placed(head) - reached))[1])
        moves[:, 1] += np.clip(up, -settings.largest_stretch, settings.largest_stretch)
    offsets += data.weights[:, Joint.HEAD, None] * moves
    return replace(fit, body=parameters, offsets=offsets.astype(np.float32))


def _in_space(pixels: Floats, depth: Floats, distance: float, camera: Camera) -> NDArray[np.float64]:
    """(K, 3) camera frame: landmarks (K, 2) with depths (K,), pixels, of a face at a distance in metres.

    The face model's depth is measured along the line of sight to the middle of the face, not along the camera's axis.
    """
    rays = camera.rays(pixels)
    middle = rays.mean(0) / np.linalg.norm(rays.mean(0))
    # one pixel at the face, metres
    size = distance * float(middle[2]) / camera.focal
    along = (distance + (depth - depth.mean()) * size) / (rays @ middle)
    points: NDArray[np.float64] = rays * along[:, None]
    return points
