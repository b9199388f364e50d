"""Laying the photo's face on the mesh's face.

A fitted head is seldom exact to the millimetre, and eyes that are painted beside the mesh's eyes ruin a face. So where
the face mesh model has found the face, the places at which the head's texels are sampled are moved by a smooth
thin-plate spline that brings its landmarks onto the same points of the mesh, and fades out towards ears and neck.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.body import BodyModel
from uvatar.body.face_points import FILE, FaceCorrespondence, load_correspondence
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.face import FACE_SCORE
from uvatar.data.fit import Fit
from uvatar.data.person import Person
from uvatar.geometry.mesh import vertex_normals
from uvatar.photos.colour import smoothstep
from uvatar.texturing.seen.mouth import Mouth
from uvatar.texturing.seen.visibility import Visibility


@dataclass(frozen=True)
class FaceSettings:
    """Tuned numbers of the face's alignment. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        facing: mean cosine between normals and lines of sight, over the half of the face that faces the camera most,
            below which too little of the face is seen: it is turned away by some 50 degrees.
        visible: cosine from which a landmark of the face is seen.
        front: least z of the normal, in the rest pose, of a landmark to which colours are moved. The face model puts
            those of temples and jaw on the face's outline, whichever point of the head that is: where hair widens the
            head, the temple would be painted with the skin beside it. PSNR of six people's faces in their photos is
            27.9 dB with it, 26.5 without; of one with full hair 28.8 and 24.6.
        smoothing: how far the spline gives way to noise in single landmarks; lengths are in face widths.
        fade: metres of the rest pose from the nearest landmark up to which the move is full, and from which there is
            none.
        largest_move: metres; a mesh whose features would have to move further is not this face's.
        last_move: metres by which a vertex moves at most: the head has the person's form already, and is not sheared
            for what only this photo shows. On 24 rendered heads, more brought the photo's own view no nearer.
        moved: percentile of the vertices' moves that is compared with ``largest_move``: at the face's rim the spline
            goes further than the landmarks that it was made from.
        scales: least and largest factor between the mesh's face and the photo's that is believed.
        largest_rotation: between the two, radians.
        largest_distance: between the two, face widths.
    """

    facing: float = 0.64
    visible: float = 0.15
    front: float = 0.45
    smoothing: float = 2e-3
    fade: tuple[float, float] = (0.012, 0.055)
    largest_move: float = 0.04
    last_move: float = 0.01
    moved: float = 90
    scales: tuple[float, float] = (0.6, 1.6)
    largest_rotation: float = 0.6
    largest_distance: float = 0.7


DEFAULT_SETTINGS = FaceSettings()


@dataclass(frozen=True)
class FaceSpline:
    """How a body's head moves with its face landmarks; made once for each body.

    Moves (H, 2) = weights (H, K) @ moves of the landmarks (K, 2).

    Attributes:
        correspondence: the K landmarks on the body.
        vertices: (H,) vertices of the head that move with them.
        weights: (H, K).
        front: (K,) bool, landmarks that lie on the front of the face.
        mouth: where the inside of the mouth begins.
        settings: tuned numbers, also of the alignment that the spline is used for.
    """

    correspondence: FaceCorrespondence
    vertices: NDArray[np.int32]
    weights: NDArray[np.float32]
    front: NDArray[np.bool_]
    mouth: Mouth
    settings: FaceSettings = DEFAULT_SETTINGS

    @classmethod
    def load(cls, folder: Path, body: BodyModel, settings: FaceSettings = DEFAULT_SETTINGS) -> FaceSpline | None:
        """From the correspondence in a folder of weights, or None if that belongs to another body.

        Raises WeightsError if it is missing.
        """
        points = load_correspondence(folder / FILE, body)
        return None if points is None else cls.of(points, body, settings)

    @classmethod
    def of(cls, points: FaceCorrespondence, body: BodyModel, settings: FaceSettings = DEFAULT_SETTINGS) -> FaceSpline:
        """Thin-plate spline (Bookstein 1989) over the rest face as seen from the front, smoothed, as one matrix."""
        template = body.data.v_template
        landmarks = points.at(template)
        distance, _ = cKDTree(landmarks).query(template, distance_upper_bound=settings.fade[1])
        vertices = np.flatnonzero(np.isfinite(distance))
        width = float(np.ptp(landmarks[:, 0]))
        knots, places = landmarks[:, :2] / width, template[vertices, :2] / width
        count = len(knots)
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = _thin_plate(knots, knots) + settings.smoothing * np.eye(count)
        system[:count, count:] = np.column_stack([np.ones(count), knots])
        system[count:, :count] = system[:count, count:].T
        solution = np.linalg.solve(system, np.eye(count + 3, count))
        basis = np.column_stack([_thin_plate(places, knots), np.ones(len(places)), places])
        fade = 1 - smoothstep(distance[vertices], *settings.fade)
        weights = (fade[:, None] * (basis @ solution)).astype(np.float32)
        front = points.at(vertex_normals(template, body.data.faces))[:, 2] >= settings.front
        mouth = Mouth.of(points, body.data)
        return cls(points, vertices.astype(np.int32), weights, front, mouth, settings)


def face_shift(person: Person, visibility: Visibility, spline: FaceSpline | None) -> NDArray[np.float32]:
    """Find what to add to where the vertices project so that the photo's features land on the mesh's.

    Returns pixels of the photo (V, 2); zeros where no face is seen, the face is turned away, the move is not a small
    one, or ``spline`` is None.
    """
    return _shift(person, visibility.pixels, visibility.cosine, spline, front_only=True)


def _shift(
    person: Person,
    pixels: NDArray[np.float32],
    vertex_cosine: NDArray[np.float32],
    spline: FaceSpline | None,
    front_only: bool,
) -> NDArray[np.float32]:
    shift = np.zeros((len(pixels), 2), np.float32)
    if spline is None or person.face is None or person.face_score <= FACE_SCORE:
        return shift
    points, settings = spline.correspondence, spline.settings
    cosine = points.at(vertex_cosine[:, None])[:, 0]
    if float(np.sort(cosine)[-len(cosine) // 2 :].mean()) < settings.facing:
        return shift
    mesh, photo = points.at(pixels), person.face[points.index]
    visible = cosine > settings.visible
    if front_only:
        visible &= spline.front
    linear, offset = _similarity(mesh[visible], photo[visible])
    similar = mesh @ linear.T + offset
    width = float(np.ptp(photo[:, 0]))
    scale, rotation = np.sqrt(np.linalg.det(linear)), np.arctan2(linear[1, 0], linear[0, 0])
    move = np.linalg.norm(similar.mean(0) - mesh.mean(0))
    least, largest = settings.scales
    near = abs(rotation) < settings.largest_rotation and move < settings.largest_distance * width
    if not (least < scale < largest and near):
        return shift
    target = np.where(visible[:, None], photo, similar)
    shift[spline.vertices] = spline.weights @ (target - mesh).astype(np.float32)
    return shift


def face_offsets(
    fit: Fit, person: Person, camera: Camera, body: BodyModel, spline: FaceSpline | None
) -> NDArray[np.float32]:
    """Find offsets that move the mesh's features onto the photo's.

    The same spline as in `face_shift`, applied to the mesh in the image plane instead of to the photo, so that the
    rendered face lies on the photo's. It comes last and moves little: the person's proportions are the work of
    `uvatar.fitting.face`, and are the same from every side.

    Returns rest-pose offsets (V, 3), metres, to be added to ``fit.offsets``; zeros where `face_shift` gives zeros, or
    where the move is large.
    """
    offsets = np.zeros_like(fit.offsets)
    vertices, _ = body.posed(fit.body, fit.offsets)
    normals = vertex_normals(vertices, body.data.faces)
    cosine = -(normals * vertices).sum(1) / np.linalg.norm(vertices, axis=1)
    shift = _shift(person, camera.project(vertices).astype(np.float32), cosine.astype(np.float32), spline, False)
    moved = np.flatnonzero(shift.any(1))
    move = np.zeros_like(vertices)
    move[:, :2] = shift * vertices[:, 2:] / camera.focal
    length = np.linalg.norm(move[moved], axis=1)
    if spline is None or not len(moved):
        return offsets
    if np.percentile(length, spline.settings.moved) > spline.settings.largest_move:
        return offsets
    largest = spline.settings.last_move
    move[moved] *= (np.minimum(length, largest) / np.maximum(length, 1e-9))[:, None]
    # skinning is affine in the rest vertex: its matrix is what posing does to unit offsets
    columns = [
        body.posed(fit.body, fit.offsets + unit)[0][moved] - vertices[moved] for unit in np.eye(3, dtype=np.float32)
    ]
    offsets[moved] = np.linalg.solve(np.stack(columns, -1), move[moved][..., None])[..., 0]
    return offsets


def _thin_plate(a: Floats, b: Floats) -> NDArray[np.float64]:
    """The kernel (A, B) of a thin-plate spline, r^2 log r, between points (A, 2) and (B, 2)."""
    square = ((a[:, None].astype(np.float64) - b[None]) ** 2).sum(-1)
    kernel: NDArray[np.float64] = 0.5 * square * np.log(np.maximum(square, 1e-12))
    return kernel


def _similarity(source: Floats, target: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least-squares rotation and scale (2, 2), and shift (2,), that bring points (K, 2) onto others (Umeyama 1991,
    without reflection).
    """
    a, b = source - source.mean(0), target - target.mean(0)
    real, imaginary = (a * b).sum(), (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()
    linear = np.array([[real, -imaginary], [imaginary, real]]) / max(float((a * a).sum()), 1e-12)
    return linear, target.mean(0) - linear @ source.mean(0)
